//! Variables as Dovecot writes them since 2.4: `%{NAME | FILTER(ARGUMENTS) | ...}`, with a calculation behind any of
//! these (`%{process:uid % 4}`). `%%{` is the text `%{`; everything else stands for itself.

mod filter;
mod tokens;

use filter::Filter;
use tokens::{Token, Tokens};

use super::{LONGEST, VariableError, Variables, append, digests};

/// Expands a text.
pub(super) fn expand(template: &str, variables: &Variables<'_>) -> Result<Vec<u8>, VariableError> {
    let mut output = Vec::new();
    let mut rest = template;
    while let Some((text, after)) = rest.split_once("%{") {
        if let Some(text) = text.strip_suffix('%') {
            append(&mut output, text.as_bytes())?;
            append(&mut output, b"%{")?;
            rest = after;
            continue;
        }
        append(&mut output, text.as_bytes())?;
        let mut tokens = Tokens { rest: after };
        append(&mut output, &pipeline(&mut tokens, variables)?.shown()?)?;
        rest = tokens.rest;
    }
    append(&mut output, rest.as_bytes())?;
    Ok(output)
}

/// What goes from filter to filter.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Value {
    /// There is no such variable; a default may follow.
    Missing(VariableError),
    Text(Vec<u8>),
    /// A digest, which is shown in hexadecimal.
    Binary(Vec<u8>),
    Number(i64),
}

impl Value {
    fn bytes(self) -> Result<Vec<u8>, VariableError> {
        match self {
            Self::Missing(error) => Err(error),
            Self::Text(bytes) | Self::Binary(bytes) => Ok(bytes),
            Self::Number(number) => Ok(number.to_string().into_bytes()),
        }
    }

    fn shown(self) -> Result<Vec<u8>, VariableError> {
        match self {
            Self::Binary(bytes) => Ok(digests::hex(&bytes)),
            other => other.bytes(),
        }
    }

    /// As a number; of a digest the last eight bytes are one.
    fn number(self) -> Result<i64, VariableError> {
        let not = |bytes: &[u8]| VariableError::Syntax(format!("{:?} is no number", String::from_utf8_lossy(bytes)));
        match self {
            Self::Missing(error) => Err(error),
            Self::Number(number) => Ok(number),
            Self::Text(bytes) => {
                std::str::from_utf8(&bytes).ok().and_then(|text| text.parse().ok()).ok_or_else(|| not(&bytes))
            }
            Self::Binary(bytes) => {
                let last = bytes.get(bytes.len().saturating_sub(8)..).unwrap_or_default();
                Ok(last.iter().fold(0_u64, |number, byte| (number << 8) | u64::from(*byte)).cast_signed())
            }
        }
    }

    /// The same kind with other bytes.
    fn map(self, change: impl FnOnce(Vec<u8>) -> Result<Vec<u8>, VariableError>) -> Result<Self, VariableError> {
        Ok(match self {
            Self::Binary(bytes) => Self::Binary(change(bytes)?),
            other => Self::Text(change(other.bytes()?)?),
        })
    }
}

fn pipeline(tokens: &mut Tokens<'_>, variables: &Variables<'_>) -> Result<Value, VariableError> {
    let mut value = None;
    loop {
        let Token::Name(name) = tokens.next()? else { return tokens.broken() };
        let is_function = tokens.peek()? == Token::Sign('(');
        let result = match value.take() {
            None if !is_function => lookup(&name, variables)?,
            before => {
                let arguments = arguments(tokens, variables)?;
                let before = before.unwrap_or(Value::Text(Vec::new()));
                Filter { name: &name, arguments: &arguments, variables }.apply(before)?
            }
        };
        let result = calculated(result, tokens)?;
        if matches!(&result, Value::Text(bytes) | Value::Binary(bytes) if bytes.len() > LONGEST) {
            return Err(VariableError::TooLarge);
        }
        match tokens.next()? {
            Token::Sign('|') => value = Some(result),
            Token::Sign('}') => return Ok(result),
            _ => return tokens.broken(),
        }
    }
}

/// A value with the calculation that may follow it.
fn calculated(value: Value, tokens: &mut Tokens<'_>) -> Result<Value, VariableError> {
    let Token::Sign(operator @ ('+' | '-' | '*' | '/' | '%')) = tokens.peek()? else { return Ok(value) };
    tokens.next()?;
    let Token::Number(right) = tokens.next()? else { return tokens.broken() };
    // A digest is a number without a sign.
    let unsigned = matches!(value, Value::Binary(_)) && operator == '%';
    let left = value.number()?;
    let result = match operator {
        '+' => left.checked_add(right),
        '-' => left.checked_sub(right),
        '*' => left.checked_mul(right),
        '/' => left.checked_div(right),
        _ if unsigned => left.cast_unsigned().checked_rem(right.cast_unsigned()).map(u64::cast_signed),
        _ => left.checked_rem(right),
    };
    result.map(Value::Number).ok_or_else(|| VariableError::Syntax(format!("{left} {operator} {right} is no number")))
}

/// An argument of a filter, with the name that it may have.
type Argument = (Option<String>, Value);

fn arguments(tokens: &mut Tokens<'_>, variables: &Variables<'_>) -> Result<Vec<Argument>, VariableError> {
    let mut arguments = Vec::new();
    if !tokens.take('(')? {
        return Ok(arguments);
    }
    loop {
        let mut name = None;
        let value = loop {
            break match tokens.next()? {
                Token::Name(word) if name.is_none() && tokens.take('=')? => {
                    name = Some(word);
                    continue;
                }
                Token::Name(word) => lookup(&word, variables)?,
                Token::Text(text) => Value::Text(text.into_bytes()),
                Token::Number(number) => Value::Number(number),
                Token::Sign('-') => match tokens.next()? {
                    Token::Number(number) => Value::Number(-number),
                    _ => return tokens.broken(),
                },
                Token::Sign(_) => return tokens.broken(),
            };
        };
        arguments.push((name, value));
        if tokens.take(')')? {
            return Ok(arguments);
        }
        if !tokens.take(',')? {
            return tokens.broken();
        }
    }
}

fn lookup(name: &str, variables: &Variables<'_>) -> Result<Value, VariableError> {
    let text = |text: &str| Ok(Value::Text(text.as_bytes().to_vec()));
    let number =
        |number: Option<u32>, what| number.map(|it| Value::Number(it.into())).ok_or(VariableError::NoValue(what));
    match name.split_once(':') {
        Some(("process", "uid")) => return number(variables.uid, "process:uid"),
        Some(("process", "gid")) => return number(variables.gid, "process:gid"),
        Some(("process", "pid")) => return number(Some(std::process::id()), "process:pid"),
        Some(("system", "hostname")) => return lookup("hostname", variables),
        Some(("system", "os")) => return text("Linux"),
        Some(("dovecot", "name")) => return text("Dovecot"),
        Some(("env", name)) => return text(variables.environment(name).unwrap_or_default()),
        Some(("userdb", field)) => return text(variables.field(field).unwrap_or_default()),
        // What a user database says of a user, for what is said beside it.
        Some(("passwd" | "passwd_file", _)) => {
            return variables.field(name).map_or(Err(VariableError::Unknown(name.to_owned())), text);
        }
        _ => {}
    }
    match name {
        "protocol" => text("doveadm"),
        "owner_user" | "master_user" => text(variables.user),
        "owner_home" => lookup("home", variables),
        // These are numbers of the process now.
        "uid" | "gid" | "pid" => Ok(Value::Missing(VariableError::Unknown(name.to_owned()))),
        _ => match variables.common(name)? {
            Some(value) => text(&value),
            None => Ok(Value::Missing(VariableError::Unknown(name.to_owned()))),
        },
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::tests::expanded;
    use super::super::{Dialect, VariableError};

    fn expand(template: &str) -> Result<String, VariableError> {
        expanded(template, Dialect::Since24)
    }

    #[test]
    fn variables_stand_for_what_a_server_puts_there() {
        for (template, expected) in [
            ("%u %% %{user|username}", "%u %% Joe.User+tag"),
            ("%%{user}", "%{user}"),
            ("/mail/%{user | domain | upper}/%", "/mail/EXAMPLE.COM/%"),
            (
                "%{user|substr(2)} %{user|substr(-5,3)} %{user|substr(0,-4)}",
                "e.User+tag@Example.COM e.C Joe.User+tag@Example",
            ),
            ("%{user|truncate(3)}%{user|md5}", "Joeeac18cdc84d4592cd4523222f5814b1b"),
            ("%{user|sha256|truncate(bits=12)}", "0560"),
            (
                "%{user | sha256(rounds=3,salt=\"abc\")}",
                "2cf8f589da69078bdb18b23262310c6e832277b66d7dc178fef1545a3078ff86",
            ),
            ("%{user | md5 % 256 | hex(2)}", "1b"),
            ("%{user|sha256 % 4}", "3"),
            ("%{user|hash(\"sha1\")}", "104db337199bfa9cfe8f2bf104ea49560704ffef"),
            ("%{user|hash('md4')}", "f29149bef823df88b01c8d9eb8b53d42"),
            ("%{user|username|hexlify(40)}", "00000000000000004a6f652e557365722b746167"),
            ("%{user|md5|truncate(2)|hexlify(8)} %{user|md5|hexlify|substr(0,4)}", "0000eac1 eac1"),
            ("%{process:uid} %{process:uid + 1} %{process:uid|hex} %{process:uid - 2000}", "1000 1001 3e8 -1000"),
            ("%{user|username|reverse} %{user|md5|base64}", "gat+resU.eoJ 6sGM3ITUWSzUUjIi9YFLGw=="),
            ("%{user|username|concat(\"x\", 'a\\'b')}%{user|domain|lfill(13)}", "Joe.User+tagxa'b00Example.COM"),
            ("%{user|domain|rfill(13,\"-\")}", "Example.COM--"),
            ("%{user|index(\"@\",1)} %{user|index(\"@\",-2)}", "Example.COM Joe.User+tag"),
            ("%{user|domain|ldap_dn}", "Example,dc=COM"),
            ("%{nope|default(\"d\")} %{nope|default(user)}", "d Joe.User+tag@Example.COM"),
            ("%{local_ip|default('x')}%{user|substr(0,0)|default('y')}", "xy"),
            ("%{if(\"a\",\"eq\",\"a\",\"x\",\"y\")}%{user|if(\"*\",\"Joe*\",home,\"y\")}", "x/home/joe"),
            ("%{if(5,\">\",7,'a','b')}%{literal('q')}%{home}", "bq/home/joe"),
            ("%{env:TZ}%{env:NO}%{userdb:quota}%{userdb:no|default('z')}", "UTC5Mz"),
            ("%{service} %{protocol} %{user | lookup(\"home\")}", "doveadm doveadm /home/joe"),
        ] {
            assert_eq!(expand(template).as_deref(), Ok(expected), "{template}");
        }
    }

    #[test]
    fn what_is_not_understood_is_an_error() {
        for template in [
            "%{nope}",
            "%{user",
            "%{user|nope}",
            "%{}",
            "%{user:x}",
            "%{uid}",
            "%{username}",
            "%{'a'}",
            "%{5 + 3}",
            "%{nope|upper|default('x')}",
            "%{user|substr(99)}",
            "%{user|index('@',5)}",
            "%{user % 4}",
            "%{process:uid / 0}",
            "%{process:uid - 5000|hex}",
            "%{user|substr(1,)}",
            "%{user|concat('a}",
            "%{user|lfill(99999999999)}",
            "%{user|truncate(bits=4)|md5|truncate(1)|lookup}",
            "%{user|index('',0)}",
            "%{user|sha256(rounds=0)}",
            "%{process:uid * 9223372036854775807}",
            "%{process:uid + 99999999999999999999}",
        ] {
            assert!(expand(template).is_err(), "{template}");
        }
        let doubling = format!("%{{user{}}}", "|concat(user)".repeat(10_000));
        assert_eq!(expand(&doubling), Err(VariableError::TooLarge));
    }

    proptest! {
        #[test]
        fn any_text_can_be_expanded(
            template in r#"(%\{(user|process:uid|home|nope)?( ?\| ?(upper|substr|truncate|md5|if|hex|index|concat|lfill|default)(\((-?[0-9]{1,20}|"[a@]?"|user|bits=[0-9])(,(-?[0-9]|"x"|home)){0,4}\))?( [-+*/%] [0-9]{1,19})?){0,4}\}|.){0,5}"#
        ) {
            let _ = expand(&template);
        }
    }
}
