//! The doveadm service of a Dovecot, reached over TCP, or at its socket on this machine.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv6Addr, Shutdown, TcpStream, ToSocketAddrs};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use super::doveadm::{self, DoveadmError};
#[cfg(feature = "tls")]
use super::tls;
use super::{Input, Output};
use crate::configuration::{Settings, UserConfiguration};
use crate::exit::Failure;

/// Where a service is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Address {
    /// Its name; or, with a slash in it, the path of a socket.
    pub(crate) host: String,
    /// If it is not given, the setting `doveadm_port` says it.
    pub(crate) port: Option<u16>,
    /// It speaks TLS.
    pub(crate) is_encrypted: bool,
}

impl Address {
    /// Understands `host`, `host:port`, for IPv6 `[address]:port`, and absolute paths.
    pub(super) fn parse(text: &str, is_encrypted: bool) -> Option<Self> {
        if text.starts_with('/') && !is_encrypted {
            return Some(Self { host: text.to_owned(), port: None, is_encrypted });
        }
        let (host, port) = match text.strip_prefix('[') {
            Some(rest) => {
                let (host, rest) = rest.split_once(']')?;
                host.parse::<Ipv6Addr>().ok()?;
                (host, if rest.is_empty() { None } else { Some(rest.strip_prefix(':')?) })
            }
            None if text.parse::<Ipv6Addr>().is_ok() => (text, None),
            None => text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port))),
        };
        let is_name = |it: char| it.is_ascii_alphanumeric() || ".-_".contains(it);
        let is_host = !host.is_empty() && !host.starts_with('-') && host.chars().all(is_name);
        if !is_host && host.parse::<Ipv6Addr>().is_err() {
            return None;
        }
        let number = |port: &str| port.parse().ok().filter(|number| *number > 0);
        let port = port.map(|port| number(port).ok_or(())).transpose().ok()?;
        Some(Self { host: host.to_owned(), port, is_encrypted })
    }

    /// The same with a port.
    pub(super) fn with_usual_port(&self, settings: &Settings) -> Result<Self, Failure> {
        const NAME: &str = "doveadm_port";
        let usual = || settings.text(NAME).and_then(|text| text.parse().ok()).filter(|port| *port > 0);
        match self.port.or_else(usual) {
            None => Err(Failure::Usage(format!(
                "tcp:{self}: the port is missing: write tcp:{self}:PORT, or set {NAME}; it is that of the inet_listener of the \
                 service doveadm there"
            ))),
            port => Ok(Self { port, ..self.clone() }),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.host.parse::<IpAddr>(), self.port) {
            (Ok(IpAddr::V6(address)), Some(port)) => write!(formatter, "[{address}]:{port}"),
            (_, Some(port)) => write!(formatter, "{}:{port}", self.host),
            (_, None) => write!(formatter, "{}", self.host),
        }
    }
}

/// A connection to a service that serves a user.
pub(super) struct Connected {
    pub(super) input: Input,
    pub(super) output: Output,
    pub(super) end: End,
}

/// Ends a connection.
pub(super) enum End {
    Network(TcpStream),
    Machine(UnixStream),
}

impl End {
    pub(super) fn now(&self) {
        // The other side may have ended it already.
        let _ = match self {
            Self::Network(stream) => stream.shutdown(Shutdown::Both),
            Self::Machine(stream) => stream.shutdown(Shutdown::Both),
        };
    }
}

/// Reaches the service at an address and lets it serve a user.
///
/// # Errors
/// If it is not there, or does not.
pub(super) fn connect(address: &Address, user: &UserConfiguration, timeout: Duration) -> Result<Connected, Failure> {
    let settings = user.settings().raw();
    let is_path = address.host.starts_with('/');
    let address = if is_path { address.clone() } else { address.with_usual_port(settings)? };
    let failed = |error: DoveadmError| {
        let text = format!("the doveadm service at {address} cannot be used: {}", explained(&error, timeout));
        match error {
            DoveadmError::NoPassword => Failure::Configuration(text),
            _ => Failure::OtherSide(text),
        }
    };
    let password = settings.text("doveadm_password");
    let name = &user.user().name;
    if is_path {
        let mut stream = open_path(&address.host, timeout).map_err(|error| failed(error.into()))?;
        doveadm::introduce(&mut stream, password, name).map_err(failed)?;
        return finish_path(stream).map_err(|error| failed(error.into()));
    }
    #[cfg(feature = "tls")]
    if address.is_encrypted {
        let demands = tls::Demands::of(settings)?;
        let stream = open(&address, timeout).map_err(|error| failed(error.into()))?;
        let mut stream = tls::begin(stream, &address.host, demands).map_err(|error| failed(error.into()))?;
        doveadm::introduce(&mut stream, password, name).map_err(failed)?;
        let end = without_timeout(stream.socket()).map_err(|error| failed(error.into()))?;
        let (input, output) = stream.split().map_err(|error| failed(error.into()))?;
        return Ok(Connected { input, output, end });
    }
    let mut stream = open(&address, timeout).map_err(|error| failed(error.into()))?;
    doveadm::introduce(&mut stream, password, name).map_err(failed)?;
    let end = without_timeout(&stream).map_err(|error| failed(error.into()))?;
    let input = stream.try_clone().map_err(|error| failed(error.into()))?;
    Ok(Connected { input: Box::new(input), output: Box::new(stream), end })
}

fn explained(error: &DoveadmError, timeout: Duration) -> String {
    match error {
        DoveadmError::Connection(error) if is_timeout(error) => {
            format!("there was no answer within {} seconds", timeout.as_secs())
        }
        DoveadmError::Connection(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            "it closes the connection; its log may say why, and the port has to be one for TLS with tcps:, and none with tcp:"
                .to_owned()
        }
        // Only TLS finds data that are not valid.
        DoveadmError::Connection(error) if error.kind() == io::ErrorKind::InvalidData => format!(
            "{error}; certificates are checked as the settings ssl_client_ca_file, ssl_client_ca_dir and \
             ssl_client_require_valid_cert say, and the port has to be one for TLS with tcps:"
        ),
        error => error.to_string(),
    }
}

fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}

/// Connects to one of the addresses that a host has. Nothing takes longer than the time-out.
fn open(address: &Address, timeout: Duration) -> io::Result<TcpStream> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the host has no address");
    for socket_address in (address.host.as_str(), address.port.unwrap_or_default()).to_socket_addrs()? {
        match TcpStream::connect_timeout(&socket_address, timeout) {
            Ok(stream) => {
                // Questions and answers are small, and somebody waits for each.
                stream.set_nodelay(true)?;
                stream.set_read_timeout(Some(timeout))?;
                stream.set_write_timeout(Some(timeout))?;
                return Ok(stream);
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// Prepares a connection for a conversation, which looks for silence by itself. What can end it.
fn without_timeout(stream: &TcpStream) -> io::Result<End> {
    stream.set_read_timeout(None)?;
    stream.set_write_timeout(None)?;
    Ok(End::Network(stream.try_clone()?))
}

fn open_path(path: &str, timeout: Duration) -> io::Result<UnixStream> {
    let stream = UnixStream::connect(path)?;
    stream.set_read_timeout(Some(timeout))?;
    stream.set_write_timeout(Some(timeout))?;
    Ok(stream)
}

fn finish_path(stream: UnixStream) -> io::Result<Connected> {
    stream.set_read_timeout(None)?;
    stream.set_write_timeout(None)?;
    let (input, end) = (stream.try_clone()?, End::Machine(stream.try_clone()?));
    Ok(Connected { input: Box::new(input), output: Box::new(stream), end })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_in_every_form() {
        for (text, host, port, shown) in [
            ("host", "host", None, "host"),
            ("mail.example.org:12345", "mail.example.org", Some(12345), "mail.example.org:12345"),
            ("127.0.0.1:1", "127.0.0.1", Some(1), "127.0.0.1:1"),
            ("::1", "::1", None, "::1"),
            ("[::1]", "::1", None, "::1"),
            ("[::1]:24", "::1", Some(24), "[::1]:24"),
        ] {
            let address = Address::parse(text, false).unwrap();
            assert_eq!((address.host.as_str(), address.port), (host, port), "{text}");
            assert_eq!(address.to_string(), shown);
        }
        for text in
            ["", ":1", "host:", "host:0", "host:x", "host:99999", "a:1:2", "[::1", "[x]:1", "a b", "-a", "/run/x"]
        {
            assert_eq!(Address::parse(text, true), None, "{text}");
        }
    }
}
