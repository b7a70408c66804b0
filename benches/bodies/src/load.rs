//! The load: connections on threads of the parent's own process, in rounds.

use crate::upload::Connection;
use std::io;
use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

/// Connections to one server.
pub(crate) struct Load(Vec<Connection>);

impl Load {
    pub(crate) fn open(address: SocketAddr, connections: usize) -> io::Result<Self> {
        (0..connections).map(|_| Connection::open(address)).collect::<io::Result<_>>().map(Self)
    }

    /// Lets all connections send `request` for `span`, one after the other on each: how many there were, and the time they took.
    pub(crate) fn round(&mut self, request: &[u8], span: Duration) -> io::Result<(usize, Duration)> {
        let began = Instant::now();
        let sent = thread::scope(|scope| {
            let threads: Vec<_> =
                self.0.iter_mut().map(|one| scope.spawn(|| send(one, request, began + span))).collect();
            let joined =
                threads.into_iter().map(|thread| thread.join().unwrap_or_else(|_| Err(io::ErrorKind::Other.into())));
            joined.sum::<io::Result<usize>>()
        })?;
        Ok((sent, began.elapsed()))
    }
}

fn send(connection: &mut Connection, request: &[u8], end: Instant) -> io::Result<usize> {
    let mut sent = 0;
    while Instant::now() < end {
        connection.send(request)?;
        sent += 1;
    }
    Ok(sent)
}
