//! Variables as Dovecot writes them since 2.4: `%{NAME | FILTER(ARGUMENTS) | ...}`, with a calculation behind any of
//! these (`%{process:uid % 4}`). `%%{` is the text `%{`; everything else stands for itself.

use super::{LONGEST, VariableError, Variables, append, conditions, digests, domain, local_part};

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

/// The rest of a text in which a variable was found.
struct Tokens<'a> {
    rest: &'a str,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    Name(String),
    Text(String),
    Number(i64),
    Sign(char),
}

impl Tokens<'_> {
    fn next(&mut self) -> Result<Token, VariableError> {
        let text = self.rest.trim_start_matches([' ', '\t']);
        let broken = || VariableError::Syntax(format!("%{{ ... {text}"));
        let first = text.chars().next().ok_or_else(broken)?;
        let (token, length) = match first {
            '"' | '\'' => {
                let mut plain = String::new();
                let mut escaped = false;
                let mut end = None;
                for (position, character) in text.char_indices().skip(1) {
                    match character {
                        _ if escaped => {
                            plain.push(match character {
                                'n' => '\n',
                                'r' => '\r',
                                't' => '\t',
                                other => other,
                            });
                            escaped = false;
                        }
                        '\\' => escaped = true,
                        _ if character == first => {
                            end = Some(position + 1);
                            break;
                        }
                        _ => plain.push(character),
                    }
                }
                (Token::Text(plain), end.ok_or_else(broken)?)
            }
            '0'..='9' => {
                let length = text.bytes().take_while(u8::is_ascii_digit).count();
                (Token::Number(text.get(..length).and_then(|digits| digits.parse().ok()).ok_or_else(broken)?), length)
            }
            _ if is_of_name(first) => {
                let length = text.find(|character| !is_of_name(character)).unwrap_or(text.len());
                (Token::Name(text.get(..length).unwrap_or_default().to_owned()), length)
            }
            other => (Token::Sign(other), other.len_utf8()),
        };
        self.rest = text.get(length..).unwrap_or_default();
        Ok(token)
    }

    fn peek(&self) -> Result<Token, VariableError> {
        Tokens { rest: self.rest }.next()
    }

    /// Goes on if the next is this sign.
    fn take(&mut self, sign: char) -> Result<bool, VariableError> {
        let taken = self.peek()? == Token::Sign(sign);
        if taken {
            self.next()?;
        }
        Ok(taken)
    }

    fn broken<T>(&self) -> Result<T, VariableError> {
        Err(VariableError::Syntax(format!("%{{ ... {}", self.rest)))
    }
}

fn is_of_name(character: char) -> bool {
    character.is_ascii_alphanumeric() || matches!(character, '_' | ':' | '.')
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

struct Filter<'a> {
    name: &'a str,
    arguments: &'a [Argument],
    variables: &'a Variables<'a>,
}

impl Filter<'_> {
    fn apply(&self, value: Value) -> Result<Value, VariableError> {
        match self.name {
            "default" => match value {
                Value::Text(bytes) | Value::Binary(bytes) if bytes.is_empty() => self.default(),
                Value::Missing(_) => self.default(),
                value => Ok(value),
            },
            "literal" => Ok(Value::Text(self.bytes(0)?)),
            "lookup" => lookup(&String::from_utf8_lossy(&self.bytes(0)?), self.variables),
            "if" => self.condition(value),
            "upper" => value.map(|bytes| Ok(bytes.to_ascii_uppercase())),
            "lower" => value.map(|bytes| Ok(bytes.to_ascii_lowercase())),
            "reverse" => value.map(|bytes| Ok(bytes.into_iter().rev().collect())),
            "username" => value.map(|bytes| Ok(local_part(&String::from_utf8_lossy(&bytes)).as_bytes().to_vec())),
            "domain" => value.map(|bytes| Ok(domain(&String::from_utf8_lossy(&bytes)).as_bytes().to_vec())),
            "ldap_dn" => value.map(|bytes| Ok(String::from_utf8_lossy(&bytes).replace('.', ",dc=").into_bytes())),
            "text" | "safe" | "list" => Ok(Value::Text(value.bytes()?)),
            "base64" => Ok(Value::Text(digests::base64(&value.bytes()?))),
            "concat" => value.map(|mut bytes| {
                for (_, argument) in self.arguments {
                    bytes.extend(argument.clone().bytes()?);
                }
                Ok(bytes)
            }),
            "substr" => value.map(|bytes| self.substring(&bytes)),
            "truncate" => value.map(|mut bytes| match self.named("bits") {
                Some(bits) => Ok(digests::truncate(&bytes, usize::try_from(bits.clone().number()?).unwrap_or(0))),
                None => {
                    bytes.truncate(self.length(0)?);
                    Ok(bytes)
                }
            }),
            "index" => value.map(|bytes| self.index(&bytes)),
            "lfill" | "rfill" => value.map(|bytes| self.filled(bytes)),
            "hexlify" => {
                let digits = digests::hex(&value.bytes()?);
                let length = if self.arguments.is_empty() { 0 } else { self.length(0)? };
                Ok(Value::Text([vec![b'0'; length.saturating_sub(digits.len())], digits].concat()))
            }
            "hex" => {
                let digits = if self.arguments.is_empty() { 0 } else { self.length(0)? };
                let number = u64::try_from(value.number()?).map_err(|_| self.wrong())?;
                Ok(Value::Text(format!("{number:0digits$x}").into_bytes()))
            }
            "md5" | "sha1" | "sha256" | "sha384" | "sha512" => self.digest(self.name, value),
            "hash" => self.digest(&String::from_utf8_lossy(&self.bytes(0)?), value),
            _ => Err(VariableError::Unknown(format!("| {}", self.name))),
        }
    }

    fn default(&self) -> Result<Value, VariableError> {
        Ok(self.positional(0).cloned().unwrap_or(Value::Text(Vec::new())))
    }

    fn condition(&self, value: Value) -> Result<Value, VariableError> {
        let arguments: Vec<_> = self.arguments.iter().map(|(_, argument)| argument.clone()).collect();
        let (left, rest) = match arguments.as_slice() {
            [left, rest @ ..] if rest.len() == 4 => (left.clone(), rest),
            rest => (value, rest),
        };
        let [operator, right, then, otherwise] = rest else { return Err(self.wrong()) };
        let operator = String::from_utf8_lossy(&operator.clone().bytes()?).into_owned();
        let holds = conditions::holds(&left.bytes()?, &operator, &right.clone().bytes()?)?;
        Ok(if holds { then.clone() } else { otherwise.clone() })
    }

    /// From a place, counted from the end if it is negative, and so many bytes, or all but so many.
    fn substring(&self, bytes: &[u8]) -> Result<Vec<u8>, VariableError> {
        let place = |number: i64, all: usize| match usize::try_from(number.unsigned_abs()) {
            Ok(distance) if number < 0 => all.checked_sub(distance),
            Ok(distance) => (distance <= all).then_some(distance),
            Err(_) => None,
        };
        let start = place(self.number(0)?, bytes.len()).ok_or_else(|| self.wrong())?;
        let rest = bytes.get(start..).unwrap_or_default();
        let length = match self.positional(1) {
            Some(length) => place(length.clone().number()?, rest.len()).ok_or_else(|| self.wrong())?,
            None => rest.len(),
        };
        Ok(rest.get(..length).unwrap_or_default().to_vec())
    }

    /// One of the parts between separators, counted from the end if its number is negative.
    fn index(&self, bytes: &[u8]) -> Result<Vec<u8>, VariableError> {
        let text = String::from_utf8_lossy(bytes);
        let separator = self.bytes(0)?;
        let separator =
            std::str::from_utf8(&separator).ok().filter(|it| !it.is_empty()).ok_or_else(|| self.wrong())?;
        let parts: Vec<&str> = text.split(separator).collect();
        let number = self.number(1)?;
        let distance = usize::try_from(number.unsigned_abs()).ok();
        let position = if number < 0 { distance.and_then(|it| parts.len().checked_sub(it)) } else { distance };
        let part = position.and_then(|position| parts.get(position)).ok_or_else(|| self.wrong())?;
        Ok(part.as_bytes().to_vec())
    }

    fn filled(&self, bytes: Vec<u8>) -> Result<Vec<u8>, VariableError> {
        let by = match self.positional(1) {
            Some(by) => by.clone().bytes()?,
            None => b"0".to_vec(),
        };
        let [by] = by.as_slice() else { return Err(self.wrong()) };
        let filling = vec![*by; self.length(0)?.saturating_sub(bytes.len())];
        Ok(if self.name == "lfill" { [filling, bytes].concat() } else { [bytes, filling].concat() })
    }

    fn digest(&self, algorithm: &str, value: Value) -> Result<Value, VariableError> {
        let rounds = match self.named("rounds") {
            Some(rounds) => Some(u32::try_from(rounds.clone().number()?).map_err(|_| self.wrong())?),
            None => None,
        };
        let salt = self.named("salt").map(|salt| salt.clone().bytes()).transpose()?;
        let wanted = digests::Wanted { algorithm, salt, rounds, truncate: None };
        Ok(Value::Binary(digests::digest(&wanted, &value.bytes()?, self.name)?))
    }

    fn positional(&self, position: usize) -> Option<&Value> {
        self.arguments.iter().filter(|(name, _)| name.is_none()).nth(position).map(|(_, value)| value)
    }

    fn named(&self, wanted: &str) -> Option<&Value> {
        self.arguments.iter().find(|(name, _)| name.as_deref() == Some(wanted)).map(|(_, value)| value)
    }

    fn bytes(&self, position: usize) -> Result<Vec<u8>, VariableError> {
        self.positional(position).ok_or_else(|| self.wrong())?.clone().bytes()
    }

    fn number(&self, position: usize) -> Result<i64, VariableError> {
        self.positional(position).ok_or_else(|| self.wrong())?.clone().number()
    }

    /// A length that can be made.
    fn length(&self, position: usize) -> Result<usize, VariableError> {
        usize::try_from(self.number(position)?).ok().filter(|length| *length <= LONGEST).ok_or_else(|| self.wrong())
    }

    fn wrong(&self) -> VariableError {
        VariableError::Syntax(format!("| {}: its arguments do not fit", self.name))
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
