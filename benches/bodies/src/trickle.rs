//! Many clients at once, each of which uploads a segment of the network at a time, as slow phones do.

use crate::bars::{Bars, bytes, size};
use crate::child::{Heap, Server};
use crate::cli::Wish;
use crate::upload::{Connection, Framing};
use std::io;

const CLIENTS: usize = 200;
const LENGTH: usize = 1 << 20;
/// What a segment carries.
const PIECE: usize = 1400;
/// Where the heap is looked at, in bytes received from each client. The last is one byte short of the whole body, since
/// then it would be given back.
const LOOKS: [usize; 4] = [64 << 10, 256 << 10, 512 << 10, LENGTH];
/// A mode that holds as much is looked at no more.
const ENOUGH: u64 = 1 << 30;

/// The bar: live heap by bytes received, and from how many bytes of each client on.
const BAR: f64 = 1.3;
const FROM: usize = 256 << 10;

pub(crate) fn table(wish: &Wish, bars: &mut Bars) -> io::Result<()> {
    println!("\n### {CLIENTS} clients that trickle {} each at once\n", size(LENGTH));
    println!(
        "Live heap above the idle connections by the bytes received, when so much was received from each client.\n"
    );
    println!("| mode | | {} |", LOOKS.map(size).join(" | "));
    println!("|---|---|{}", "---:|".repeat(LOOKS.len()));
    let modes = [
        ("drain", "read and dropped"),
        ("pooled", "ebbtide `PooledBody`"),
        ("vec", "frames copied into a `Vec`"),
        ("bytes", "axum `Bytes`"),
    ];
    for (mode, name) in modes {
        for framing in Framing::BOTH {
            // One body of known length tells of the others.
            if wish.quick && framing == Framing::Chunked && mode != "pooled" {
                continue;
            }
            let held = play(mode, framing)?;
            let ratio = |(held, received): &(u64, u64)| *held as f64 / *received as f64;
            let cell = |look: &(u64, u64)| format!("{:.2} ({})", ratio(look), bytes(look.0));
            let mut cells: Vec<String> = held.iter().map(cell).collect();
            cells.resize(LOOKS.len(), format!("above {}", bytes(ENOUGH)));
            println!("| {name} | {} | {} |", framing.name(), cells.join(" | "));
            if mode == "pooled" {
                let late = held.iter().zip(LOOKS).filter(|(_, look)| *look >= FROM);
                let worst = late.map(|(look, _)| ratio(look)).fold(0.0, f64::max);
                bars.counted(
                    format!("{CLIENTS} trickling clients, {}: at most {BAR} from {} on", framing.name(), size(FROM)),
                    format!("{worst:.2}"),
                    worst <= BAR && held.len() == LOOKS.len(),
                );
            }
        }
    }
    Ok(())
}

/// Live heap above the idle connections and bytes received, at each look.
fn play(mode: &str, framing: Framing) -> io::Result<Vec<(u64, u64)>> {
    let mut server = Server::watched(Heap::Counting, mode, 2)?;
    let hello = Framing::Length.request(b"{}");
    let mut clients = Vec::new();
    for _ in 0..CLIENTS {
        let mut client = Connection::open(server.address)?;
        client.send(&hello)?;
        clients.push(client);
    }
    let idle = server.rested()?;
    for client in &mut clients {
        client.begin(LENGTH, framing)?;
    }
    let (body, mut sent, mut held) = (vec![7; LENGTH], 0, Vec::new());
    for look in LOOKS {
        let until = look.min(LENGTH - 1);
        while sent < until {
            let piece = &body[sent..until.min(sent + PIECE)];
            for client in &mut clients {
                client.piece(piece, framing)?;
            }
            sent += piece.len();
            server.await_seen(idle.seen + (sent * CLIENTS) as u64)?;
        }
        let live = server.rested()?.live.saturating_sub(idle.live);
        held.push((live, (sent * CLIENTS) as u64));
        if live > ENOUGH {
            return Ok(held);
        }
    }
    for client in &mut clients {
        client.piece(&body[sent..], framing)?;
        client.end(framing)?;
    }
    Ok(held)
}
