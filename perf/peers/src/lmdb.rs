//! LMDB in shared memory, a transaction for each operation, not flushed: as fast as it goes without losing its
//! promises to other processes.
#![allow(unsafe_code)] // Opening an environment is unsafe: nobody may change its file but through LMDB.

use crate::contender::Contender;
use crate::scratch::Scratch;
use heed::types::Bytes;
use heed::{Database, Env, EnvFlags, EnvOpenOptions, WithoutTls};
use splinter_stress::Workload;
use splinter_stress::peer::{Link, Miss, Peer};
use std::fmt::Display;

/// Makes the contender.
pub(crate) fn lmdb(name: &str, workload: &Workload) -> Result<Contender, String> {
    let scratch = Scratch::new("lmdb").map_err(|error| format!("no folder for it: {error}"))?;
    let cannot = |error: heed::Error| error.to_string();
    let mut options = EnvOpenOptions::new().read_txn_without_tls();
    // Room for every value some ten times: pages are copied when they are written.
    let room = (workload.keys * (workload.longest_value() + 4096) * 4).next_multiple_of(1 << 20);
    options.map_size(usize::try_from(room).map_err(|_| "too many keys")?);
    options.max_readers(workload.operators() + 16);
    // SAFETY: the flags cost durability alone, and nobody looks at the data after a crash.
    unsafe { options.flags(EnvFlags::NO_SYNC | EnvFlags::NO_META_SYNC | EnvFlags::WRITE_MAP) };
    // SAFETY: the folder is this process's own, and opened once.
    let env = unsafe { options.open(scratch.path()) }.map_err(cannot)?;
    let mut transaction = env.write_txn().map_err(cannot)?;
    let database = env.create_database(&mut transaction, None).map_err(cannot)?;
    transaction.commit().map_err(cannot)?;
    let version = heed::lmdb_version();
    let version = format!("LMDB {}.{}.{}", version.major, version.minor, version.patch);
    let peer = Lmdb { link: LmdbLink { env, database }, _scratch: scratch };
    let contender = Contender::new(name, version, workload, peer)?;
    Ok(contender.note("ordered and transactional; a transaction for each operation, not flushed"))
}

struct Lmdb {
    link: LmdbLink,
    // Removed after the environment was closed.
    _scratch: Scratch,
}

#[derive(Clone)]
struct LmdbLink {
    env: Env<WithoutTls>,
    database: Database<Bytes, Bytes>,
}

impl Peer for Lmdb {
    type Link = LmdbLink;

    fn link(&self, _: bool) -> Result<LmdbLink, String> {
        Ok(self.link.clone())
    }
}

fn failed(error: impl Display) -> Miss {
    Miss::Other(error.to_string().into())
}

impl Link for LmdbLink {
    fn get(&mut self, key: &[u8], buf: &mut [u8]) -> Result<usize, Miss> {
        let transaction = self.env.read_txn().map_err(failed)?;
        let value = self.database.get(&transaction, key).map_err(failed)?.ok_or(Miss::NotFound)?;
        buf.get_mut(..value.len()).ok_or(Miss::TooLong)?.copy_from_slice(value);
        Ok(value.len())
    }

    fn set(&mut self, key: &[u8], value: &[u8]) -> Result<(), Miss> {
        let mut transaction = self.env.write_txn().map_err(failed)?;
        self.database.put(&mut transaction, key, value).map_err(failed)?;
        transaction.commit().map_err(failed)
    }
}
