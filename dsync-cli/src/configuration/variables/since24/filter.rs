//! What can be done with the value of a variable.

use super::super::{LONGEST, VariableError, Variables, conditions, digests, domain, local_part};
use super::{Argument, Value, lookup};

/// A filter with its arguments.
pub(super) struct Filter<'a> {
    pub(super) name: &'a str,
    pub(super) arguments: &'a [Argument],
    pub(super) variables: &'a Variables<'a>,
}

impl Filter<'_> {
    pub(super) fn apply(&self, value: Value) -> Result<Value, VariableError> {
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
