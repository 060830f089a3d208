//! TLS on a connection to a service. Its certificate is checked against the authorities that the settings name
//! (`ssl_client_ca_file`, `ssl_client_ca_dir`), or else those that this system knows, and against the name of the host.
//!
//! A certificate that is itself among the named ones is trusted for its name and time, also if it says of itself that it is an
//! authority, as those that administrators make for a single server usually do.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{Resumption, WebPkiServerVerifier, verify_server_name};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{
    CertificateError, ClientConfig, ClientConnection, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
    Stream,
};

use super::validity::Validity;
use super::{Input, Output};
use crate::configuration::{ConfigurationError, Settings, values};
use crate::exit::Failure;
use crate::messages;

/// So much is read at once.
const CHUNK: usize = 16 * 1024;

/// What a certificate has to be.
pub(super) struct Demands {
    authorities: Vec<CertificateDer<'static>>,
    /// A connection whose certificate is not in order is no connection.
    are_strict: bool,
}

impl Demands {
    /// Those of the settings.
    ///
    /// # Errors
    /// If they cannot be met by any certificate.
    pub(super) fn of(settings: &Settings) -> Result<Self, Failure> {
        const STRICT: &str = "ssl_client_require_valid_cert";
        let path = |name| settings.text(name).map(PathBuf::from);
        let [file, directory] = ["ssl_client_ca_file", "ssl_client_ca_dir"].map(path);
        let are_named = file.is_some() || directory.is_some();
        let found = match are_named {
            true => rustls_native_certs::load_certs_from_paths(file.as_deref(), directory.as_deref()),
            false => rustls_native_certs::load_native_certs(),
        };
        let are_strict = settings.text(STRICT).is_none_or(|text| values::boolean(text) != Some(false));
        if are_strict && found.certs.is_empty() {
            let reason = found.errors.first().map(|error| format!(" ({error})")).unwrap_or_default();
            let problem =
                format!("there are no certificates of authorities, neither there nor in ssl_client_ca_dir{reason}");
            return Err(ConfigurationError::setting("ssl_client_ca_file", problem).into());
        }
        Ok(Self { authorities: found.certs, are_strict })
    }
}

/// Speaks TLS on a connection, with a host that has to be the one that is meant.
///
/// # Errors
/// If it cannot be done, or the host cannot show who it is.
pub(super) fn begin(mut socket: TcpStream, host: &str, demands: Demands) -> io::Result<Encrypted> {
    let name = ServerName::try_from(host.to_owned()).map_err(invalid)?;
    let provider = Arc::new(ring::default_provider());
    let verifier = Verifier::new(demands, &provider).map_err(invalid)?;
    let config =
        ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().map_err(invalid)?;
    let mut config = config.dangerous().with_custom_certificate_verifier(Arc::new(verifier)).with_no_client_auth();
    config.resumption = Resumption::disabled();
    let mut connection = ClientConnection::new(Arc::new(config), name).map_err(invalid)?;
    while connection.is_handshaking() {
        connection.complete_io(&mut socket)?;
    }
    Ok(Encrypted { connection, socket })
}

fn invalid(error: impl std::error::Error + Send + Sync + 'static) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

/// A connection in the hands of one thread.
pub(super) struct Encrypted {
    connection: ClientConnection,
    socket: TcpStream,
}

impl Read for Encrypted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        Stream::new(&mut self.connection, &mut self.socket).read(buffer)
    }
}

impl Write for Encrypted {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Stream::new(&mut self.connection, &mut self.socket).write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Stream::new(&mut self.connection, &mut self.socket).flush()
    }
}

impl Encrypted {
    /// What is below.
    pub(super) fn socket(&self) -> &TcpStream {
        &self.socket
    }

    /// Its two directions, each for a thread of its own: while one waits for the other side, the other goes on.
    ///
    /// # Errors
    /// If the system does not give the socket twice.
    pub(super) fn split(self) -> io::Result<(Input, Output)> {
        let Self { connection, socket } = self;
        let connection = Arc::new(Mutex::new(connection));
        let input = Receiving {
            socket: socket.try_clone()?,
            connection: Arc::clone(&connection),
            chunk: vec![0; CHUNK],
            left: 0..0,
        };
        Ok((Box::new(input), Box::new(Sending { socket, connection })))
    }
}

type Shared = Arc<Mutex<ClientConnection>>;

fn lock(connection: &Shared) -> MutexGuard<'_, ClientConnection> {
    connection.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Receiving {
    socket: TcpStream,
    connection: Shared,
    chunk: Vec<u8>,
    /// What of the chunk was not decrypted yet.
    left: std::ops::Range<usize>,
}

impl Read for Receiving {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            {
                let mut connection = lock(&self.connection);
                match connection.reader().read(buffer) {
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    done => return done,
                }
                let mut rest = self.chunk.get(self.left.clone()).unwrap_or_default();
                if !rest.is_empty() {
                    let length = connection.read_tls(&mut rest)?;
                    self.left.start = self.left.start.saturating_add(length);
                    connection.process_new_packets().map_err(invalid)?;
                    continue;
                }
            }
            // The other direction goes on meanwhile. What TLS itself has to answer, goes out with what is said next.
            let length = self.socket.read(&mut self.chunk)?;
            self.left = 0..length;
            if length == 0 {
                lock(&self.connection).read_tls(&mut io::empty())?;
            }
        }
    }
}

/// Only it writes to the socket, so what is encrypted goes out in its order.
struct Sending {
    socket: TcpStream,
    connection: Shared,
}

impl Sending {
    fn send_encrypted(&mut self, add: impl FnOnce(&mut ClientConnection) -> io::Result<usize>) -> io::Result<usize> {
        let mut encrypted = Vec::new();
        let length = {
            let mut connection = lock(&self.connection);
            let length = add(&mut connection)?;
            while connection.wants_write() {
                connection.write_tls(&mut encrypted)?;
            }
            length
        };
        self.socket.write_all(&encrypted)?;
        Ok(length)
    }
}

impl Write for Sending {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.send_encrypted(|connection| connection.writer().write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.send_encrypted(|_| Ok(0)).map(drop)
    }
}

impl Drop for Sending {
    fn drop(&mut self) {
        // The other side may be gone.
        let _ = self.send_encrypted(|connection| {
            connection.send_close_notify();
            Ok(0)
        });
    }
}

/// Checks certificates.
#[derive(Debug)]
struct Verifier {
    /// Checks them by their authorities, if there are any.
    by_authorities: Option<Arc<WebPkiServerVerifier>>,
    authorities: Vec<CertificateDer<'static>>,
    are_strict: bool,
    provider: Arc<CryptoProvider>,
}

impl Verifier {
    fn new(demands: Demands, provider: &Arc<CryptoProvider>) -> Result<Self, rustls::client::VerifierBuilderError> {
        let Demands { authorities, are_strict } = demands;
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(authorities.iter().cloned());
        let by_authorities = match roots.is_empty() {
            true => None,
            false => {
                Some(WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider)).build()?)
            }
        };
        Ok(Self { by_authorities, authorities, are_strict, provider: Arc::clone(provider) })
    }

    fn check(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if self.authorities.iter().any(|authority| authority == certificate) {
            verify_server_name(&ParsedCertificate::try_from(certificate)?, name)?;
            return match Validity::of(certificate) {
                None => Err(CertificateError::BadEncoding.into()),
                Some(validity) if now.as_secs() < validity.from => Err(CertificateError::NotValidYet.into()),
                Some(validity) if now.as_secs() > validity.until => Err(CertificateError::Expired.into()),
                Some(_) => Ok(ServerCertVerified::assertion()),
            };
        }
        match &self.by_authorities {
            Some(verifier) => verifier.verify_server_cert(certificate, intermediates, name, ocsp_response, now),
            None => Err(CertificateError::UnknownIssuer.into()),
        }
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        match self.check(certificate, intermediates, name, ocsp_response, now) {
            Err(error) if !self.are_strict => {
                messages::warning(format_args!(
                    "{}: {error}; anybody may be at the other side, but ssl_client_require_valid_cert=no lets it pass",
                    name.to_str()
                ));
                Ok(ServerCertVerified::assertion())
            }
            checked => checked,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signature, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
