//! Why a quick start did not come about; each message says what to do about it.

use std::io;
use std::path::PathBuf;

/// Why nothing was started.
#[derive(Debug, thiserror::Error)]
pub enum QuickstartError {
    /// Somebody else listens there.
    #[error("port {port} of 127.0.0.1 is taken ({source}); choose another one with {option} (0 takes any free one)")]
    PortTaken {
        /// The port that was wanted.
        port: u16,
        /// The option that sets it.
        option: &'static str,
        /// What the system says.
        source: io::Error,
    },
    /// Both listeners want the same port.
    #[error("--port and --admin-port are both {0}; they have to differ")]
    SamePort(u16),
    /// Without a home folder there is no default place.
    #[error("HOME is not set; say with --data DIR where the CLI package and the sessions are to be kept")]
    NoHome,
    /// The folder cannot be made.
    #[error("cannot create {path}: {source}; choose another folder with --data DIR", path = path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A config is text.
    #[error("{path} is not UTF-8; choose another folder with --data DIR", path = .0.display())]
    NotText(PathBuf),
    /// The platform has no package of the CLI.
    #[error("there is no Copilot CLI for {os} on {arch}")]
    Platform {
        /// The operating system.
        os: &'static str,
        /// The processor.
        arch: &'static str,
    },
    /// There is no CLI, and nothing to install one with.
    #[error(
        "found neither `copilot` nor `npm` on PATH; install Node.js 20 or newer with npm \
         (Debian: apt-get install nodejs npm), or put the `copilot` binary on PATH"
    )]
    NoNpm,
    /// npm started and failed; it has said why.
    #[error(
        "npm could not install {package} into {path} ({outcome}); is the npm registry reachable from here? \
         Its own message is above. A `copilot` binary on PATH is used without npm",
        path = path.display()
    )]
    Npm {
        /// Name and version of the package.
        package: String,
        /// Where it was to be installed.
        path: PathBuf,
        /// How npm ended.
        outcome: String,
    },
    /// npm was content, but the binary is not there.
    #[error("{package} was installed into {path}, but it has no binary for this machine", path = path.display())]
    NoBinary {
        /// Name and version of the package.
        package: String,
        /// Where it was installed.
        path: PathBuf,
    },
    /// A signal came while npm ran.
    #[error("stopped")]
    Stopped,
    /// The system refuses what every program needs.
    #[error("cannot start: {0}")]
    Runtime(#[from] io::Error),
    /// The stub has no place to listen.
    #[error(transparent)]
    Model(#[from] crate::cli::demo_model::BindError),
}
