//! Redis and memcached, over sockets of this machine's file system: every operation is a message to another process
//! and one back.

use crate::contender::Contender;
use crate::server::Server;
use redis::{Client, Connection, RedisError, Value};
use splinter_stress::Workload;
use splinter_stress::peer::{Link, Miss, Peer};
use std::fmt::Display;

/// Operations of a pipelined client that travel together.
const PIPELINED: usize = 16;

/// Makes the contender that waits for each answer.
pub(crate) fn redis(name: &str, workload: &Workload) -> Result<Contender, String> {
    let server = start_redis()?;
    let version = server.version().to_owned();
    let contender = Contender::new(name, version, workload, Redis { server, depth: 1 })?;
    Ok(contender.note("over a Unix socket, a connection for each worker"))
}

/// Makes the contender that sends many operations before it reads the answers.
pub(crate) fn redis_pipelined(name: &str, workload: &Workload) -> Result<Contender, String> {
    let server = start_redis()?;
    let version = server.version().to_owned();
    let peer = Redis { server, depth: PIPELINED };
    let contender = Contender::new(name, version, workload, peer)?.unchecked();
    Ok(contender.note("16 operations at a time; latencies are those of a batch's last, and say nothing"))
}

/// Makes the contender that is memcached.
pub(crate) fn memcached(name: &str, workload: &Workload) -> Result<Contender, String> {
    let megabytes = (workload.keys * (workload.longest_value() + 512)).div_ceil(1 << 20) * 2 + 64;
    let arguments = ["-s", "{socket}", "-a", "0600", "-u", "root", "-m", &megabytes.to_string()];
    let server = Server::start("memcached", "memcached", &arguments)?;
    let version = server.version().to_owned();
    let contender = Contender::new(name, version, workload, Memcached(server))?;
    Ok(contender.note("over a Unix socket, a connection for each worker"))
}

fn start_redis() -> Result<Server, String> {
    let arguments =
        ["--port", "0", "--unixsocket", "{socket}", "--dir", "{folder}", "--save", "", "--appendonly", "no"];
    Server::start("redis-server", "redis-server", &arguments)
}

fn failed(error: impl Display) -> Miss {
    Miss::Other(error.to_string().into())
}

struct Redis {
    server: Server,
    depth: usize,
}

/// A connection, and what was not sent yet.
struct RedisLink {
    connection: Connection,
    depth: usize,
    waiting: usize,
    packed: Vec<u8>,
}

impl Peer for Redis {
    type Link = RedisLink;

    fn link(&self, _: bool) -> Result<RedisLink, String> {
        let url = format!("redis+unix://{}", self.server.socket().display());
        let words = |error: RedisError| error.to_string();
        Ok(RedisLink {
            connection: Client::open(url).and_then(|client| client.get_connection()).map_err(words)?,
            depth: self.depth,
            waiting: 0,
            packed: Vec::new(),
        })
    }
}

impl RedisLink {
    /// Asks, and returns the answer; where operations travel together, the last of them all.
    fn ask(&mut self, command: &[&[u8]]) -> Result<Value, Miss> {
        let mut packed = redis::Cmd::new();
        for part in command {
            packed.arg(*part);
        }
        self.packed.extend_from_slice(&packed.get_packed_command());
        self.waiting += 1;
        if self.waiting < self.depth { Ok(Value::Okay) } else { self.settle() }
    }

    /// Sends what waits and reads all answers; returns the last of them, or that some key is missing.
    fn settle(&mut self) -> Result<Value, Miss> {
        if self.waiting == 0 {
            return Ok(Value::Okay);
        }
        self.connection.send_packed_command(&self.packed).map_err(failed)?;
        self.packed.clear();
        let mut answer = Value::Okay;
        for _ in 0..std::mem::take(&mut self.waiting) {
            answer = self.connection.recv_response().map_err(failed)?;
            if answer == Value::Nil {
                return Err(Miss::NotFound);
            }
        }
        Ok(answer)
    }
}

impl Link for RedisLink {
    fn get(&mut self, key: &[u8], buf: &mut [u8]) -> Result<usize, Miss> {
        match self.ask(&[b"GET", key])? {
            Value::BulkString(value) => {
                buf.get_mut(..value.len()).ok_or(Miss::TooLong)?.copy_from_slice(&value);
                Ok(value.len())
            }
            Value::Okay => Ok(0),
            other => Err(failed(format!("an answer that is no value: {other:?}"))),
        }
    }

    fn set(&mut self, key: &[u8], value: &[u8]) -> Result<(), Miss> {
        self.ask(&[b"SET", key, value]).map(drop)
    }

    fn finish(&mut self) -> Result<(), Miss> {
        self.settle().map(drop)
    }
}

struct Memcached(Server);

struct MemcachedLink(memcache::Client);

impl Peer for Memcached {
    type Link = MemcachedLink;

    fn link(&self, _: bool) -> Result<MemcachedLink, String> {
        let url = format!("memcache://{}?protocol=ascii", self.0.socket().display());
        memcache::connect(url).map(MemcachedLink).map_err(|error| error.to_string())
    }
}

/// Keys are text.
fn text(key: &[u8]) -> Result<&str, Miss> {
    std::str::from_utf8(key).map_err(failed)
}

impl Link for MemcachedLink {
    fn get(&mut self, key: &[u8], buf: &mut [u8]) -> Result<usize, Miss> {
        let value: Vec<u8> = self.0.get(text(key)?).map_err(failed)?.ok_or(Miss::NotFound)?;
        buf.get_mut(..value.len()).ok_or(Miss::TooLong)?.copy_from_slice(&value);
        Ok(value.len())
    }

    fn set(&mut self, key: &[u8], value: &[u8]) -> Result<(), Miss> {
        self.0.set(text(key)?, value, 0).map_err(failed)
    }
}
