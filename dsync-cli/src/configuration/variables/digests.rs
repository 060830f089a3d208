//! Digests of what variables stand for.

use base64::Engine;
use md5::Md5;
use sha1::Sha1;
use sha2::digest::Digest;
use sha2::{Sha256, Sha384, Sha512};

use super::VariableError;

/// More rounds are not waited for.
const MOST_ROUNDS: u32 = 1_000_000;
/// As many bytes as Dovecot 2.3 derives.
const PKCS5_LENGTH: usize = 336;

/// Which digest is wanted.
#[derive(Clone, Debug)]
pub(super) struct Wanted<'a> {
    pub(super) algorithm: &'a str,
    /// It comes before the value.
    pub(super) salt: Option<Vec<u8>>,
    /// How many times; once if not given, and 2048 times for `pkcs5`.
    pub(super) rounds: Option<u32>,
    /// How many bits are left of it.
    pub(super) truncate: Option<usize>,
}

/// The digest of a value. `name` is what the value is called; it is the salt of `pkcs5` if there is no other.
pub(super) fn digest(wanted: &Wanted<'_>, value: &[u8], name: &str) -> Result<Vec<u8>, VariableError> {
    let rounds = wanted.rounds.unwrap_or(if wanted.algorithm == "pkcs5" { 2048 } else { 1 });
    if rounds == 0 || rounds > MOST_ROUNDS {
        return Err(VariableError::Syntax(format!("rounds={rounds}")));
    }
    let salt = wanted.salt.as_deref();
    let plain = salt.unwrap_or_default();
    let bytes = match wanted.algorithm {
        "md4" => repeated::<md4::Md4>(plain, value, rounds),
        "md5" => repeated::<Md5>(plain, value, rounds),
        "sha1" => repeated::<Sha1>(plain, value, rounds),
        "sha256" => repeated::<Sha256>(plain, value, rounds),
        "sha384" => repeated::<Sha384>(plain, value, rounds),
        "sha512" => repeated::<Sha512>(plain, value, rounds),
        "sha3-256" => repeated::<sha3::Sha3_256>(plain, value, rounds),
        "sha3-512" => repeated::<sha3::Sha3_512>(plain, value, rounds),
        "pkcs5" => {
            pbkdf2::pbkdf2_hmac_array::<Sha256, PKCS5_LENGTH>(value, salt.unwrap_or(name.as_bytes()), rounds).to_vec()
        }
        other => return Err(VariableError::Unknown(format!("%{{{other}:{name}}}"))),
    };
    Ok(wanted.truncate.map_or(bytes.clone(), |bits| truncate(&bytes, bits)))
}

fn repeated<D: Digest>(salt: &[u8], value: &[u8], rounds: u32) -> Vec<u8> {
    let mut value = value.to_vec();
    for _ in 0..rounds {
        value = D::new().chain_update(salt).chain_update(&value).finalize().to_vec();
    }
    value
}

/// The first bits, moved to the end of their bytes.
pub(super) fn truncate(bytes: &[u8], bits: usize) -> Vec<u8> {
    let Some(kept) = bytes.get(..bits.div_ceil(8)) else { return bytes.to_vec() };
    let shift = u32::try_from((8 - bits % 8) % 8).unwrap_or(0);
    let mut carry = 0;
    let shifted = |byte: &u8| {
        let result = u8::try_from(((carry << 8) | u32::from(*byte)) >> shift & 0xff).unwrap_or(0);
        carry = u32::from(*byte);
        result
    };
    kept.iter().map(shifted).collect()
}

/// MD5, which is not meant to keep anything safe here.
pub(super) fn md5(value: &[u8]) -> Vec<u8> {
    Md5::digest(value).to_vec()
}

/// The hash that ELF files use for names, over signed bytes.
pub(super) fn elf_hash(value: &[u8]) -> u32 {
    value.iter().fold(0, |hash: u32, byte| {
        let hash = (hash << 4).wrapping_add_signed(i32::from(i8::from_ne_bytes([*byte])));
        let high = hash & 0xf000_0000;
        if high == 0 { hash } else { hash ^ (high >> 24) ^ high }
    })
}

/// In lower case.
pub(super) fn hex(bytes: &[u8]) -> Vec<u8> {
    bytes.iter().flat_map(|byte| format!("{byte:02x}").into_bytes()).collect()
}

pub(super) fn base64(bytes: &[u8]) -> Vec<u8> {
    base64::engine::general_purpose::STANDARD.encode(bytes).into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_are_cut_from_the_end() {
        assert_eq!(truncate(&[0xab, 0xcd], 8), [0xab]);
        assert_eq!(truncate(&[0xab, 0xcd], 12), [0x0a, 0xbc]);
        assert_eq!(truncate(&[0xab, 0xcd], 3), [0x05]);
        assert_eq!(truncate(&[0xab, 0xcd], 0), [0_u8; 0]);
        assert_eq!(truncate(&[0xab, 0xcd], 99), [0xab, 0xcd]);
    }
}
