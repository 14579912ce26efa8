//! Walls, logins and watched files, from the text of a config on.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use aws_lc_rs::{
    encoding::{AsBigEndian, EcPublicKeyUncompressedBin},
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair},
};

use super::*;
use crate::{
    config::parse,
    model::{Identity, Secret},
    tenancy::{Access, Posture, Quota},
    wire::Methods,
};
