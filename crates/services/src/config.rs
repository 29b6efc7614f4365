//! From a configured kind to a running service.

use std::hash::{BuildHasher, RandomState};
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use locum_stack::service::Service;

use crate::http::{DirFiles, Files, Http};
use crate::{Chargen, Discard, Echo, Kv};

/// A service as the configuration file names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServiceConfig {
    /// Sends everything back (RFC 862).
    Echo,
    /// Throws everything away (RFC 863).
    Discard,
    /// Sends a character pattern for ever (RFC 864).
    Chargen,
    /// Serves the files below a directory.
    Http {
        /// The directory; relative to the working directory of the process.
        root: PathBuf,
    },
    /// Keeps keys and values in memory.
    Kv {
        /// Bytes above which commands that need memory are refused.
        memory_limit: Option<u64>,
    },
}

/// A service that cannot be built.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    /// The directory of an http service cannot be served from.
    #[error("http root {} cannot be read: {source}; create it, or correct `root`", root.display())]
    Root {
        /// The directory as configured.
        root: PathBuf,
        /// What the system says about it.
        #[source]
        source: io::Error,
    },
}

impl ServiceConfig {
    /// The kinds there are, as written in the configuration file.
    pub const KINDS: [&'static str; 5] = ["echo", "discard", "chargen", "http", "kv"];

    /// The kind of this service, as written in the configuration file.
    pub const fn kind(&self) -> &'static str {
        match self {
            ServiceConfig::Echo => "echo",
            ServiceConfig::Discard => "discard",
            ServiceConfig::Chargen => "chargen",
            ServiceConfig::Http { .. } => "http",
            ServiceConfig::Kv { .. } => "kv",
        }
    }

    /// Builds the service, without any flow yet; its wall clock, if it has one, counts from 1970.
    ///
    /// # Errors
    /// [`ServiceError::Root`] when the directory of an http service is missing or unreadable.
    pub fn build(&self) -> Result<Box<dyn Service>, ServiceError> {
        self.build_at(Duration::ZERO)
    }

    /// As [`ServiceConfig::build`]; `epoch` is the wall-clock time since 1970 at the epoch of the instants
    /// that the service will be told.
    ///
    /// # Errors
    /// As [`ServiceConfig::build`].
    pub fn build_at(&self, epoch: Duration) -> Result<Box<dyn Service>, ServiceError> {
        Ok(match self {
            ServiceConfig::Echo => Box::new(Echo::default()),
            ServiceConfig::Discard => Box::new(Discard),
            ServiceConfig::Chargen => Box::new(Chargen::default()),
            ServiceConfig::Http { root } => {
                let files = DirFiles::new(root);
                files
                    .check()
                    .map_err(|source| ServiceError::Root { root: root.clone(), source })?;
                Box::new(Http::new(files))
            }
            ServiceConfig::Kv { memory_limit } => {
                // No answer depends on the seed, so every node may have its own.
                let seed = RandomState::new().hash_one(0_u8);
                Box::new(Kv::new(epoch, seed, *memory_limit))
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_builds_a_service_that_goes_by_its_name() {
        let root = tempfile::tempdir().unwrap();
        let configs = [
            ServiceConfig::Echo,
            ServiceConfig::Discard,
            ServiceConfig::Chargen,
            ServiceConfig::Http { root: root.path().to_path_buf() },
            ServiceConfig::Kv { memory_limit: None },
        ];
        for (config, kind) in configs.iter().zip(ServiceConfig::KINDS) {
            assert_eq!(config.kind(), kind);
            assert_eq!(config.build().unwrap().kind(), kind);
        }
    }

    #[test]
    fn a_missing_http_root_is_named_together_with_the_fix() {
        let config = ServiceConfig::Http { root: PathBuf::from("/nowhere/at/all") };
        let error = config.build().err().expect("there is no such directory").to_string();
        assert!(error.contains("/nowhere/at/all") && error.contains("create it"), "{error}");
    }
}
