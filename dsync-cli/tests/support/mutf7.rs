//! Mailbox names as IMAP writes them. On purpose not the code under test.

const ALPHABET: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+,";

/// Decodes a name in modified UTF-7.
pub fn decode(name: &str) -> String {
    let mut decoded = String::new();
    let mut rest = name;
    while let Some((before, after)) = rest.split_once('&') {
        let (shifted, after) = after.split_once('-').expect("a shift has an end");
        decoded.push_str(before);
        decoded.push_str(&if shifted.is_empty() { "&".to_owned() } else { unshift(shifted) });
        rest = after;
    }
    decoded + rest
}

fn unshift(shifted: &str) -> String {
    let mut units = Vec::new();
    let (mut bits, mut count) = (0_u32, 0);
    for digit in shifted.chars() {
        let value = ALPHABET.find(digit).expect("a shift consists of base64 digits");
        bits = (bits << 6 | u32::try_from(value).unwrap()) & 0x003f_ffff;
        count += 6;
        if count >= 16 {
            count -= 16;
            units.push(u16::try_from(bits >> count & 0xffff).unwrap());
        }
    }
    String::from_utf16(&units).expect("a shift contains UTF-16")
}
