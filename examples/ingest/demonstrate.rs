//! The demonstration: a child for each mode, conduct, load in interleaved rounds, idle memory, the trickling clients,
//! the ledger, the verdict.

use crate::child::{Report, Served};
use crate::cli::Demonstration;
use crate::documents::Document;
use crate::load::{Load, Measured};
use crate::report::{self, Figures};
use crate::serve::Mode;
use crate::{conduct, trickle};
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long things take, `--quick` and not.
struct Spans {
    warm_up: Duration,
    round: Duration,
}

impl Spans {
    const FULL: Self = Self::of(1500, 1300);
    const QUICK: Self = Self::of(300, 350);

    const fn of(warm_up: u64, round: u64) -> Self {
        Self { warm_up: Duration::from_millis(warm_up), round: Duration::from_millis(round) }
    }
}

/// Everything of one mode: its child, the load on it, and the child's reports.
struct Player {
    child: Served,
    load: Load,
    before: Option<Report>,
    after: Option<Report>,
    idle: Option<Report>,
}

/// Runs it all. False if something is still out or did not behave.
pub async fn run(wish: &Demonstration) -> io::Result<bool> {
    let began = Instant::now();
    let documents = wish.input.load(wish.settings.body_limit)?;
    println!("{}\n", wish.input.describe(&documents));
    let mut children = Vec::new();
    for mode in Mode::ALL {
        children.push(Served::start(mode, &wish.settings).await?);
    }
    let mut right = conduct_of(&children, wish, &documents).await?;
    let (figures, mut players) = measure(children, wish, &documents).await?;
    right &= report::unexpected(&figures);
    report::table(&figures, wish.connections);
    let victim = trickle::document(&documents);
    for player in &players {
        conduct::abort_uploads(player.child.address, &wish.settings.token, &victim.bytes).await?;
    }
    let scenes = scenes(wish, &victim).await?;
    right &= report::scenes(&scenes, &victim);
    let mut last = Vec::new();
    for player in players.drain(..) {
        last.push((player.child.mode, settled(player).await?));
    }
    let clear = report::ledger(&last, &scenes);
    report::verdict(&figures, &scenes, clear, right);
    println!("\n{:.0} s in all.", began.elapsed().as_secs_f64());
    Ok(clear && right)
}

/// Each document once to each mode, then what must be refused.
async fn conduct_of(children: &[Served], wish: &Demonstration, documents: &[Document]) -> io::Result<bool> {
    eprintln!("each document once to each mode, with and without Content-Length ..");
    let mut answers = Vec::new();
    let mut refusals = Vec::new();
    for child in children {
        answers.push((child.mode, conduct::each_once(child.address, &wish.settings.token, documents).await?));
        if child.mode != Mode::Floor {
            refusals.push((child.mode, conduct::refusals(child.address, &wish.settings).await?));
        }
    }
    Ok(report::answers(&answers, documents) & report::refusals(&refusals))
}

/// Interleaved rounds, then idle seconds.
async fn measure(
    children: Vec<Served>,
    wish: &Demonstration,
    documents: &[Document],
) -> io::Result<(Vec<Figures>, Vec<Player>)> {
    let spans = if wish.quick { Spans::QUICK } else { Spans::FULL };
    // A refused upload costs its connection; opening the next would be measured instead of the service.
    let fit = |document: &&Document| document.bytes.len() <= wish.settings.body_limit;
    let documents: Arc<[Document]> = documents.iter().filter(fit).cloned().collect();
    if documents.is_empty() {
        return Err(io::Error::other("every document is larger than the limit: there is nothing to measure"));
    }
    let mut players: Vec<Player> = children
        .into_iter()
        .map(|child| {
            let load = Load::new(child.mode, child.address, &wish.settings.token, documents.clone(), wish.connections);
            Player { child, load, before: None, after: None, idle: None }
        })
        .collect();
    eprintln!("warming up ..");
    for player in &mut players {
        player.load.round(spans.warm_up).await?;
        player.load.measured = Measured::default();
    }
    for player in &mut players {
        player.before = Some(player.child.reset().await?);
    }
    for number in 0..wish.rounds {
        round(&mut players, number, wish.rounds, spans.round).await?;
    }
    for player in &mut players {
        player.after = Some(player.child.report().await?);
    }
    eprintln!("{} quiet seconds ..\n", wish.quiet().as_secs());
    tokio::time::sleep(wish.quiet()).await;
    for player in &mut players {
        player.idle = Some(player.child.report().await?);
    }
    let figures = players.iter_mut().filter_map(Player::figures).collect();
    Ok((figures, players))
}

/// One round against each mode, in another order each time: in six rounds, every order of three modes.
async fn round(players: &mut [Player], number: usize, of: usize, span: Duration) -> io::Result<()> {
    let mut progress = vec![String::new(); players.len()];
    let backwards = number % 2 == 1;
    for turn in 0..players.len() {
        let turn = if backwards { players.len() - 1 - turn } else { turn };
        let turn = (turn + number) % players.len();
        let player = &mut players[turn];
        let per_second = player.load.round(span).await?;
        progress[turn] = format!("{} {:.0}/s", player.child.mode.name(), per_second);
    }
    eprintln!("round {:2} of {of}: {}", number + 1, progress.join(", "));
    Ok(())
}

impl Player {
    fn figures(&mut self) -> Option<Figures> {
        let (before, after, idle) = (self.before.as_ref()?, self.after.as_ref()?, self.idle.as_ref()?);
        let measured = std::mem::take(&mut self.load.measured);
        Some(Figures::new(self.child.mode, measured, before, after, idle))
    }
}

async fn scenes(wish: &Demonstration, document: &Document) -> io::Result<Vec<(Mode, trickle::Scene)>> {
    let mut scenes = Vec::new();
    for mode in Mode::TRICKLED {
        eprintln!("{} clients trickle their uploads to {} ..", trickle::CLIENTS, mode.name());
        scenes.push((mode, trickle::play(mode, &wish.settings, document, wish.quiet()).await?));
    }
    Ok(scenes)
}

/// Gives what was cut off a moment to be noticed, lets the connections go, and stops the child.
async fn settled(player: Player) -> io::Result<Report> {
    let Player { mut child, load, .. } = player;
    drop(load);
    for _ in 0..20 {
        if child.report().await?.is_clear() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    child.stop().await
}
