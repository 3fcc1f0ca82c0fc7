//! Certificates of brokers: a CURVE key pair with notes about it, in the indented text that ZeroMQ tools use.

use std::fmt;

use crate::crypto::{KeyPair, PublicKey, z85_decode, z85_encode};
use crate::limits::CERT_LEN_MAX;

/// A key pair that the brokers of an instance share.
#[derive(Clone, Debug)]
pub struct Certificate {
    /// In the order of the file.
    pub metadata: Vec<(String, String)>,
    pub keys: KeyPair,
}

/// Why a text is no certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CertError {
    TooLong,
    BadLine { line: usize },
    NoKey { name: &'static str },
    BadKey { name: &'static str },
    KeysDoNotFit,
}

impl fmt::Display for CertError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong => write!(f, "a certificate has at most {CERT_LEN_MAX} bytes"),
            Self::BadLine { line } => write!(f, "line {line} is no part of a certificate"),
            Self::NoKey { name } => write!(f, "there is no {name}"),
            Self::BadKey { name } => write!(f, "{name} is not 40 characters of Z85"),
            Self::KeysDoNotFit => f.write_str("public-key and secret-key do not belong to each other"),
        }
    }
}

impl std::error::Error for CertError {}

impl Certificate {
    /// Reads a certificate with its secret key.
    ///
    /// # Errors
    /// The first thing wrong with it.
    pub fn parse(text: &str) -> Result<Certificate, CertError> {
        if text.len() > CERT_LEN_MAX {
            return Err(CertError::TooLong);
        }
        let mut section = "";
        let (mut metadata, mut public, mut secret) = (Vec::new(), None, None);
        for (at, line) in text.lines().enumerate() {
            let trimmed = line.trim();
            if trimmed.is_empty() || trimmed.starts_with('#') {
                continue;
            }
            if !line.starts_with([' ', '\t']) {
                section = trimmed;
                continue;
            }
            let bad = CertError::BadLine { line: at + 1 };
            let (key, value) = trimmed.split_once('=').ok_or(bad.clone())?;
            let value = value.trim();
            let value = value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).ok_or(bad)?;
            match (section, key.trim()) {
                ("metadata", key) => metadata.push((key.to_owned(), value.to_owned())),
                ("curve", "public-key") => public = Some(value),
                ("curve", "secret-key") => secret = Some(value),
                _ => {} // A later version may know more.
            }
        }
        let decode = |name, value: Option<&str>| {
            z85_decode(value.ok_or(CertError::NoKey { name })?).ok_or(CertError::BadKey { name })
        };
        let public = PublicKey(decode("public-key", public)?);
        let keys = KeyPair::from_secret(decode("secret-key", secret)?);
        if keys.public != public {
            return Err(CertError::KeysDoNotFit);
        }
        Ok(Certificate { metadata, keys })
    }

    /// The text of the file, secret key and all.
    pub fn encode(&self) -> String {
        let mut text = String::from(
            "# The secret certificate of a Flux instance's brokers.\n\
             # Every broker needs it; nobody else may read it.\n\nmetadata\n",
        );
        for (key, value) in &self.metadata {
            text.push_str(&format!("    {key} = \"{value}\"\n"));
        }
        let (public, secret) = (self.keys.public, z85_encode(&self.keys.secret.to_bytes()));
        text.push_str(&format!("curve\n    public-key = \"{public}\"\n    secret-key = \"{secret}\"\n"));
        text
    }

    /// The name it was given, for logs.
    pub fn name(&self) -> Option<&str> {
        self.metadata.iter().find(|(key, _)| key == "name").map(|(_, value)| value.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_comes_back_as_it_was_and_what_is_none_says_why() {
        let metadata = vec![("name".to_owned(), "test".to_owned())];
        let cert = Certificate { metadata, keys: KeyPair::from_seed([5; 32]) };
        let text = cert.encode();
        let back = Certificate::parse(&text).unwrap();
        assert_eq!((back.name(), back.keys.public), (Some("test"), cert.keys.public));
        assert_eq!(back.keys.secret.to_bytes(), cert.keys.secret.to_bytes());
        let other = z85_encode(&KeyPair::from_seed([6; 32]).public.0);
        let rows = [
            (String::new(), CertError::NoKey { name: "public-key" }),
            (text.replace("    secret-key", "    x"), CertError::NoKey { name: "secret-key" }),
            (text.replace("secret-key = \"", "secret-key = \"x"), CertError::BadKey { name: "secret-key" }),
            (text.replace(&cert.keys.public.to_string(), &other), CertError::KeysDoNotFit),
            ("curve\n  public-key\n".to_owned(), CertError::BadLine { line: 2 }),
            ("#".repeat(CERT_LEN_MAX + 1), CertError::TooLong),
        ];
        for (text, want) in rows {
            assert_eq!(Certificate::parse(&text).unwrap_err(), want, "{text}");
        }
    }
}
