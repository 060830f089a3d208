//! Variables as Dovecot writes them up to 2.3: `%[-][0][OFFSET.][-][0]WIDTH MODIFIERS KEY`, without blanks, where KEY is a
//! letter or a longer name in braces. `%%` is a percent sign.

use std::borrow::Cow;

use super::{DEEPEST, LONGEST, VariableError, Variables, append, conditions, digests, domain, local_part};

/// No more modifiers are read.
const MOST_MODIFIERS: usize = 10;

/// Expands a text that is nested `depth` times in others.
pub(super) fn expand(template: &str, variables: &Variables<'_>, depth: usize) -> Result<Vec<u8>, VariableError> {
    if depth > DEEPEST || template.len() > LONGEST {
        return Err(VariableError::TooLarge);
    }
    let mut output = Vec::new();
    let mut rest = template;
    while let Some((text, after)) = rest.split_once('%') {
        append(&mut output, text.as_bytes())?;
        let (variable, after) = Variable::read(after)?;
        rest = after;
        if let Some(variable) = variable {
            append(&mut output, &variable.value(variables, depth)?)?;
        }
    }
    append(&mut output, rest.as_bytes())?;
    Ok(output)
}

/// One variable in a text.
#[derive(Debug, PartialEq, Eq)]
struct Variable<'a> {
    /// How many bytes are skipped; if negative, where to start from the end.
    offset: i64,
    /// How many bytes are kept; if negative, how many are dropped at the end. 0 keeps all.
    width: i64,
    /// The width is filled with zeros instead.
    fill: bool,
    modifiers: &'a str,
    key: &'a str,
}

impl<'a> Variable<'a> {
    /// Reads what is behind a percent sign; `None` if there is nothing.
    fn read(text: &'a str) -> Result<(Option<Self>, &'a str), VariableError> {
        let (negative, rest) = strip(text, '-');
        let (fill, number, rest) = read_number(rest);
        let (offset, width, fill, rest) = match rest.strip_prefix('.') {
            None => (0, number, fill, rest),
            Some(rest) => {
                let (zero_first, rest) = strip(rest, '0');
                let (drops, rest) = strip(rest, '-');
                let (zero_behind, width, rest) = read_number(rest);
                let sign = |number: i64, negative: bool| if negative { -number } else { number };
                (sign(number, negative), sign(width, drops), zero_first || zero_behind, rest)
            }
        };
        let count = rest.bytes().take_while(|byte| b"LUEXRTMDHN".contains(byte)).take(MOST_MODIFIERS).count();
        let (modifiers, rest) = rest.split_at(count);
        let Some(first) = rest.chars().next() else { return Ok((None, rest)) };
        let (key, rest) = match rest.strip_prefix('{') {
            Some(inner) => split_braces(inner).ok_or_else(|| VariableError::Syntax(format!("%{text}")))?,
            None => rest.split_at(first.len_utf8()),
        };
        Ok((Some(Self { offset, width, fill, modifiers, key }), rest))
    }

    fn value(&self, variables: &Variables<'_>, depth: usize) -> Result<Vec<u8>, VariableError> {
        let mut value = lookup(self.key, variables, depth)?;
        let (mut offset, mut width) = (self.offset, self.width);
        for modifier in self.modifiers.chars() {
            value = match modifier {
                'L' => value.to_ascii_lowercase(),
                'U' => value.to_ascii_uppercase(),
                'E' => escape(&value),
                'X' => decimal_to_hex(&value),
                'R' => value.into_iter().rev().collect(),
                'T' => value.trim_ascii_end().to_vec(),
                'M' => digests::hex(&digests::md5(&value)),
                'D' => String::from_utf8_lossy(&value).replace('.', ",dc=").into_bytes(),
                _ => {
                    let hash =
                        if modifier == 'H' { u64::from(digests::elf_hash(&value)) } else { first_of_md5(&value) };
                    let modulus = width.unsigned_abs();
                    let hash = if modulus == 0 { hash } else { hash % modulus };
                    let digits = usize::try_from(offset).unwrap_or(0);
                    (offset, width) = (0, 0);
                    format!("{:0digits$x}", hash & u64::from(u32::MAX)).into_bytes()
                }
            };
            if value.len() > LONGEST {
                return Err(VariableError::TooLarge);
            }
        }
        Ok(cut(&value, offset, width, self.fill))
    }
}

/// Numbers are not believed beyond this.
const GREATEST: i64 = 32 << 10;

/// Reads digits: whether the first is a zero, what they are, and what is behind them.
fn read_number(text: &str) -> (bool, i64, &str) {
    let end = text.bytes().take_while(u8::is_ascii_digit).count();
    let (digits, rest) = text.split_at(end);
    let number = digits.bytes().fold(0_i64, |number, digit| (number * 10 + i64::from(digit - b'0')).min(GREATEST));
    (digits.starts_with('0'), number, rest)
}

fn strip(text: &str, character: char) -> (bool, &str) {
    text.strip_prefix(character).map_or((false, text), |rest| (true, rest))
}

/// Splits at the brace that closes the one before the text.
fn split_braces(text: &str) -> Option<(&str, &str)> {
    let mut open = 1_usize;
    for (position, byte) in text.bytes().enumerate() {
        match byte {
            b'{' => open += 1,
            b'}' => open -= 1,
            _ => {}
        }
        if open == 0 {
            return Some((text.get(..position)?, text.get(position + 1..)?));
        }
    }
    None
}

fn cut(value: &[u8], offset: i64, width: i64, fill: bool) -> Vec<u8> {
    let distance = usize::try_from(offset.unsigned_abs()).unwrap_or(usize::MAX);
    let start = if offset < 0 { value.len().saturating_sub(distance) } else { distance.min(value.len()) };
    let value = value.get(start..).unwrap_or_default();
    let wanted = usize::try_from(width.unsigned_abs()).unwrap_or(usize::MAX);
    match width {
        0 => value.to_vec(),
        ..0 => value.get(..value.len().saturating_sub(wanted)).unwrap_or_default().to_vec(),
        _ if fill => [vec![b'0'; wanted.saturating_sub(value.len())], value.to_vec()].concat(),
        _ => value.get(..wanted).unwrap_or(value).to_vec(),
    }
}

fn escape(value: &[u8]) -> Vec<u8> {
    let escaped = |byte: &u8| if b"\"'\\".contains(byte) { vec![b'\\', *byte] } else { vec![*byte] };
    value.iter().flat_map(escaped).collect()
}

fn decimal_to_hex(value: &[u8]) -> Vec<u8> {
    let number: u64 = std::str::from_utf8(value).ok().and_then(|text| text.parse().ok()).unwrap_or(0);
    format!("{number:x}").into_bytes()
}

fn first_of_md5(value: &[u8]) -> u64 {
    digests::md5(value).iter().take(8).fold(0, |number, byte| (number << 8) | u64::from(*byte))
}

fn lookup(key: &str, variables: &Variables<'_>, depth: usize) -> Result<Vec<u8>, VariableError> {
    let name = match key {
        "%" => return Ok(b"%".to_vec()),
        "u" => "user",
        "n" => "username",
        "d" => "domain",
        "h" => "home",
        "s" => "service",
        "l" => "lip",
        "r" => "rip",
        "p" => "pid",
        "i" => "uid",
        _ => key,
    };
    Ok(long_name(name, variables, depth)?.into_owned())
}

fn long_name<'a>(name: &str, variables: &'a Variables<'_>, depth: usize) -> Result<Cow<'a, [u8]>, VariableError> {
    let text = match name {
        "username" | "auth_username" => local_part(variables.user),
        "domain" | "auth_domain" => domain(variables.user),
        "lip" | "rip" | "lport" | "rport" => "",
        _ => {
            if let Some(condition) = name.strip_prefix("if;") {
                return conditional(condition, variables, depth).map(Cow::Owned);
            }
            if let Some(value) = variables.common(name)? {
                return Ok(Cow::Owned(value.into_owned().into_bytes()));
            }
            match name.split_once(':') {
                Some(("env", name)) => variables.environment(name).unwrap_or_default(),
                Some(("userdb", field)) => {
                    let (field, default) = field.split_once(':').unwrap_or((field, ""));
                    return Ok(Cow::Owned(variables.field(field).unwrap_or(default).as_bytes().to_vec()));
                }
                Some((algorithm, name)) => return digest(algorithm, name, variables, depth).map(Cow::Owned),
                None => return Err(VariableError::Unknown(format!("%{{{name}}}"))),
            }
        }
    };
    Ok(Cow::Borrowed(text.as_bytes()))
}

/// `A;OP;B;THEN;ELSE`, where a backslash takes away the meaning of a semicolon.
fn conditional(text: &str, variables: &Variables<'_>, depth: usize) -> Result<Vec<u8>, VariableError> {
    let syntax = || VariableError::Syntax(format!("%{{if;{text}}}"));
    let mut fields = vec![String::new()];
    let mut open = 0_usize;
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match character {
            '{' => open += 1,
            '}' => open = open.saturating_sub(1),
            _ => {}
        }
        if character == ';' && open == 0 {
            fields.push(String::new());
            continue;
        }
        let taken = if character == '\\' { characters.next().ok_or_else(syntax)? } else { character };
        if let Some(field) = fields.last_mut() {
            field.push(taken);
        }
    }
    let [left, operator, right, then, otherwise] = fields.as_slice() else { return Err(syntax()) };
    let expanded = |text: &String| expand(text, variables, depth + 1);
    let holds = conditions::holds(&expanded(left)?, operator, &expanded(right)?)?;
    expanded(if holds { then } else { otherwise })
}

/// `ALGORITHM;option=value,...:NAME`; the salt comes last and may hold anything.
fn digest(algorithm: &str, name: &str, variables: &Variables<'_>, depth: usize) -> Result<Vec<u8>, VariableError> {
    let unknown = || VariableError::Unknown(format!("%{{{algorithm}:{name}}}"));
    let (algorithm, mut options) = algorithm.split_once(';').unwrap_or((algorithm, ""));
    let mut wanted = digests::Wanted { algorithm, salt: None, rounds: None, truncate: None };
    let mut format = "hex";
    while !options.is_empty() {
        let (option, rest) = if options.starts_with("salt=") { (options, "") } else { split_comma(options) };
        options = rest;
        match option.split_once('=') {
            Some(("rounds", text)) => wanted.rounds = Some(text.parse().map_err(|_| unknown())?),
            Some(("truncate", text)) => wanted.truncate = Some(text.parse().map_err(|_| unknown())?),
            Some(("format", text)) => format = text,
            Some(("salt", text)) => wanted.salt = Some(expand(text, variables, depth + 1)?),
            _ => return Err(unknown()),
        }
    }
    let value = lookup(name, variables, depth)?;
    if algorithm == "size" {
        return Ok(format!("{:016x}", value.len()).into_bytes());
    }
    let bytes = digests::digest(&wanted, &value, name)?;
    Ok(match format {
        // Dovecot 2.3 writes both in lower case.
        "hex" | "hexuc" => digests::hex(&bytes),
        "base64" => digests::base64(&bytes),
        _ => return Err(unknown()),
    })
}

fn split_comma(text: &str) -> (&str, &str) {
    text.split_once(',').unwrap_or((text, ""))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::tests::expanded;
    use super::super::{Dialect, VariableError};

    fn expand(template: &str) -> Result<String, VariableError> {
        expanded(template, Dialect::Before24)
    }

    #[test]
    fn variables_stand_for_what_a_server_puts_there() {
        for (template, expected) in [
            ("maildir:/var/mail/%d/%n", "maildir:/var/mail/Example.COM/Joe.User+tag"),
            ("%u", "Joe.User+tag@Example.COM"),
            ("%2n", "Jo"),
            ("%3.2n", ".U"),
            ("%-4.2n", "+t"),
            ("%-3n", "Joe"),
            ("%-99.3n", "Joe"),
            ("%99.3n", ""),
            ("%0.-4n", "Joe.User"),
            ("%015n", "000Joe.User+tag"),
            ("%Hu", "2ba69cd"),
            ("%4Hu", "1"),
            ("%2.26Hu", "07"),
            ("%2.256Nu", "2c"),
            ("%Nu", "84d4592c"),
            ("%LU{user}", "JOE.USER+TAG@EXAMPLE.COM"),
            ("%{sha256;truncate=8:user}", "56"),
            ("%Dd", "Example,dc=COM"),
            ("%h/%%/%", "/home/joe/%/"),
            ("%i %{gid} %s", "1000 100 doveadm"),
            ("%Xi %1Ri%Xn", "3e8 00"),
            ("%{env:TZ}%{env:none}%{userdb:quota}%{userdb:none:x}", "UTC5Mx"),
            ("%{if;%d;ne;;%Ld;%{hostname}}", "example.com"),
            ("%{if;%{if;1;==;2;a;b};eq;b;yes\\;;no}", "yes;"),
            ("%{size:user}", "0000000000000018"),
            ("%{if;a\\;b;eq;a\\;b;y;n}%{if;%d;*;Ex*;y;n}", "yy"),
            ("%-5.-2u %3.05n %3.-05n %XE{uid} %MTu", "e.C .User+tag .Use 3e8 eac18cdc84d4592cd4523222f5814b1b"),
            ("%{sha256;rounds=3,salt=a%n:user}", "445b3f2cdca8618146346c9caf4ab11cac30642a0b9331302dd426a021a2935a"),
            ("%{sha256;truncate=12:user} %{sha256;truncate=3,format=base64:user}", "0560 Ag=="),
            ("%{md4:user}", "f29149bef823df88b01c8d9eb8b53d42"),
            ("%{sha3-256:user}", "808a85b6fa8316625e17ee2eca8c2456eb606bac538323ca42640b965b280b63"),
            ("%{sha1;format=hexuc:user}", "104db337199bfa9cfe8f2bf104ea49560704ffef"),
            ("%8.16M{user} %{pkcs5;rounds=5,truncate=64,salt=x:user}", "84d4592cd4523222 cc4342ff6fd7797e"),
            ("", ""),
        ] {
            assert_eq!(expand(template).as_deref(), Ok(expected), "{template}");
        }
    }

    #[test]
    fn what_is_not_understood_is_an_error() {
        for template in [
            "%z",
            "%{nonsense}",
            "%{user",
            "%{}",
            "%é",
            "%{if;1;==;1;a}",
            "%{if;1;is;1;a;b}",
            "%{sha256;x=1:user}",
            "%{sha256;rounds=99999999999:user}",
            "%{sha256:nonsense}",
            "%{sha999:user}",
            "%{sha256;rounds=4000000000:user}",
        ] {
            assert!(expand(template).is_err(), "{template}");
        }
        let nested = (0..50).fold("%u".to_owned(), |inner, _| format!("%{{if;1;==;1;{inner};}}"));
        assert_eq!(expand(&nested), Err(VariableError::TooLarge));
        assert_eq!(expand(&"%032000u".repeat(10)), Err(VariableError::TooLarge));
    }

    proptest! {
        #[test]
        fn any_text_can_be_expanded(template in r"(%|[-0-9.]|[LUEXRTMDHN]|[undhsi{};:=,\\~*!]|if;|md5|salt=|.){0,30}") {
            let _ = expand(&template);
        }
    }
}
