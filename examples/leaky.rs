//! Eight interceptors, one of which leaks: the monitor says which, by name. `docs/finding-a-leak.md` tells the story.
//!
//! ```sh
//! cargo run --release --example leaky              # everything: 20 seeds, then a burst, then a load that goes up and down
//! cargo run --release --example leaky -- --quick   # the same with two seeds
//! cargo run --release --example leaky -- 7         # seed 7 alone, with all that the monitor and the books say
//! cargo run --release --example leaky -- 7 calls   # the same, and the profile has the calls that led to each lease
//! ```
//!
//! The seed chooses the interceptor that keeps 4 KiB of one request in a hundred for good. The traffic is two minutes of 30,000
//! requests a second, on a clock that runs three times as fast: for the monitor, six minutes of 10,000 requests a second, and a
//! leak of 0.41 MB/s. So the rule of five minutes has to speak within two minutes of traffic. All that traffic is played as fast as the
//! machine allows.

use ebbtide::observe::{Change, Event, LeakDetector, Ledger, Monitor, Profile, Rule, Snapshot, Subject, tagged};
use ebbtide::{BufferPool, Chain, Interceptor, PooledBuf, Reset, Scope, Scopes, Verdict};
use std::collections::BTreeSet;
use std::error::Error;
use std::fs::File;
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

const NAMES: [&str; 8] = ["auth", "session", "quota", "features", "cache", "geo", "audit", "trace"];
/// What one request in a hundred leaves behind, in bytes.
const LEAK: usize = 4096;
/// Traffic: seconds, requests a second, and how much faster the monitor's clock runs.
const TRAFFIC: (u32, u32, u32) = (120, 30_000, 3);
/// What the periodic load swings around, in buffers of 64 KiB, and by how many.
const SWING: (f64, f64) = (1600.0, 600.0);

/// Takes a buffer for each request, and gives it back with the request; one of the eight also keeps some.
struct Step {
    name: &'static str,
    buffers: BufferPool,
    keeps: bool,
    kept: Arc<Mutex<Vec<PooledBuf>>>,
}

/// What a step has of a request.
#[derive(Default)]
struct Held(Option<PooledBuf>);

impl Reset for Held {
    fn reset(&mut self) -> Verdict {
        self.0 = None;
        Verdict::Keep
    }
}

impl Interceptor<u64, usize> for Step {
    type State = Held;

    fn name(&self) -> &'static str {
        self.name
    }

    fn before(&self, held: &mut Held, _: &Scope, request: &mut u64) -> ControlFlow<usize> {
        // What it takes is counted under its name: the chain sees to that.
        let mut buffer = self.buffers.get(256);
        buffer.extend_from_slice(&request.to_le_bytes());
        held.0 = Some(buffer);
        if self.keeps && mixed(*request) % 100 == 0 {
            // A cache that nobody empties.
            self.kept.lock().expect("nobody panics with it").push(self.buffers.get(LEAK));
        }
        ControlFlow::Continue(())
    }
}

/// SplitMix64.
fn mixed(seed: u64) -> u64 {
    let mut mixed = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}

/// A server of eight interceptors, the clock of its monitor, and what the monitor told.
struct Server {
    buffers: BufferPool,
    kept: Arc<Mutex<Vec<PooledBuf>>>,
    monitor: Monitor,
    told: Arc<Mutex<Vec<Event>>>,
    /// Of the last automatic dump: the first tag, and the table.
    dumped: Arc<Mutex<(&'static str, String)>>,
    begin: Instant,
    clock: Duration,
}

impl Server {
    fn new(leaks: Option<&Arc<LeakDetector>>) -> Result<Self, Box<dyn Error>> {
        let (told, dumped) = (Arc::<Mutex<Vec<Event>>>::default(), Arc::<Mutex<(&str, String)>>::default());
        let builder = Monitor::builder().on_event({
            let told = Arc::clone(&told);
            move |event| told.lock().expect("nobody panics with it").push(*event)
        });
        let builder = builder.on_dump({
            let dumped = Arc::clone(&dumped);
            move |_, dump| *dumped.lock().expect("nobody panics with it") = (dump.tags()[0].tag, dump.to_string())
        });
        let builder = match leaks {
            Some(leaks) => builder.leaks(Arc::clone(leaks)),
            None => builder,
        };
        Ok(Self {
            buffers: BufferPool::new(),
            kept: Arc::default(),
            monitor: builder.build()?,
            told,
            dumped,
            begin: Instant::now(),
            clock: Duration::ZERO,
        })
    }

    fn step(&self, name: &'static str, keeps: bool) -> Step {
        Step { name, buffers: self.buffers.clone(), keeps, kept: Arc::clone(&self.kept) }
    }

    /// Serves so many requests through the chain, in `ticks` steps of the clock of `tick`, each with a sample; after each,
    /// `between` may do what it likes. Ends early when `between` says so.
    fn serve(
        &mut self,
        leaks: Option<usize>,
        (ticks, tick): (u32, Duration),
        requests: u64,
        mut between: impl FnMut(&Self) -> bool,
    ) {
        let step = |index: usize| self.step(NAMES[index], leaks == Some(index));
        let chain = Chain::new().with(step(0)).with(step(1)).with(step(2)).with(step(3));
        let runner = chain.with(step(4)).with(step(5)).with(step(6)).with(step(7)).runner();
        let scopes = Scopes::new();
        for serial in 0..u64::from(ticks) {
            for request in serial * requests..(serial + 1) * requests {
                let guard = scopes.begin();
                runner.run(&guard.scope(), request, |request| request as usize);
            }
            self.clock += tick;
            self.monitor.sample_at(self.begin + self.clock);
            if between(self) {
                break;
            }
        }
    }

    fn told(&self) -> Vec<Event> {
        self.told.lock().expect("nobody panics with it").clone()
    }

    /// The tags of which a rule spoke.
    fn tags(&self, rule: Rule) -> BTreeSet<&'static str> {
        let of_rule = self.told().into_iter().filter(|event| event.rule() == rule);
        of_rule.filter_map(|event| if let Subject::Tag(tag) = event.subject { Some(tag) } else { None }).collect()
    }

    fn minutes(&self, event: &Event) -> f64 {
        event.at.duration_since(self.begin).as_secs_f64() / 60.0
    }

    fn print(&self) {
        for event in self.told() {
            println!("{:6.1} min  {event}", self.minutes(&event));
        }
    }
}

/// Two minutes of traffic with a leak, or less: until the monitor names a tag.
fn leak(seed: u64, detector: LeakDetector, aloud: bool) -> Result<(), Box<dyn Error>> {
    let (seconds, rate, speed) = TRAFFIC;
    let guilty = mixed(seed) as usize % NAMES.len();
    let detector = Arc::new(detector);
    let mut server = Server::new(Some(&detector))?;
    let tick = Monitor::PERIOD;
    let ticks = seconds * speed * 4;
    server.serve(Some(guilty), (ticks, tick), u64::from(rate / speed / 4), |server| {
        !server.tags(Rule::SlowLeak).is_empty()
    });

    let traffic = server.clock.as_secs_f64() / f64::from(speed);
    let named = server.tags(Rule::SlowLeak);
    println!("seed {seed:2}: {named:?} after {traffic:.0} s of traffic");
    let (first, table) = server.dumped.lock().expect("nobody panics with it").clone();
    let leases = detector.leases(Instant::now());
    let sites: BTreeSet<_> = leases.iter().map(|lease| (lease.tag(), lease.site().to_string())).collect();
    if aloud {
        server.print();
        println!("\n{table}");
        println!("{} sampled leases are out, taken at {sites:?}", leases.len());
        let file = std::env::temp_dir().join("leaky.pb.gz");
        let mut snapshot = Snapshot::new();
        snapshot.take(&Ledger::process());
        let mut profile = Profile::new(&snapshot);
        profile.add_leases(&leases);
        profile.write(SystemTime::now(), File::create(&file)?)?;
        println!("profile: {}", file.display());
    }
    let guilty = NAMES[guilty];
    // The rules on pools and on the process speak too; of tags, only this one may be named, and by these two.
    for rule in Rule::ALL {
        let (named, speaks) = (server.tags(rule), matches!(rule, Rule::SlowLeak | Rule::OldLeases));
        if named != BTreeSet::from_iter(speaks.then_some(guilty)) {
            return Err(format!("seed {seed}: {guilty} leaks; named by {}: {named:?}", rule.name()).into());
        }
    }
    if first != guilty || sites.len() != 1 || !sites.iter().all(|(tag, _)| *tag == guilty) {
        return Err(format!("seed {seed}: {guilty} leaks; dumped first: {first}; taken at: {sites:?}").into());
    }
    Ok(())
}

/// Five minutes of traffic without a leak; after three, `audit` takes 1.2 GB within four seconds, and gives it back.
fn burst() -> Result<(), Box<dyn Error>> {
    let mut server = Server::new(None)?;
    let mut taken = Vec::new();
    server.serve(None, (1200, Monitor::PERIOD), 100, |server| {
        match (server.clock.as_secs(), server.told().len()) {
            // Nothing is written into them, so that they take no real memory.
            (180..=183, _) => taken.extend((0..75).map(|_| tagged("audit", || server.buffers.get(1_000_000)))),
            (200, _) => taken.clear(),
            _ => {}
        }
        false
    });
    println!("burst:");
    server.print();
    if server.tags(Rule::Burst) != BTreeSet::from(["audit"]) {
        return Err(format!("the burst of audit was told of {:?}", server.tags(Rule::Burst)).into());
    }
    no_leak(&server)
}

/// Three hours without a leak, in which what `session` keeps goes up and down by 75 % every half an hour.
fn periodic() -> Result<(), Box<dyn Error>> {
    let mut server = Server::new(None)?;
    let mut sessions = Vec::new();
    server.serve(None, (3 * 3600, Duration::from_secs(1)), 10, |server| {
        let phase = server.clock.as_secs_f64() / 1800.0 * std::f64::consts::TAU;
        let wanted = (SWING.0 + SWING.1 * phase.sin()) as usize;
        sessions.truncate(wanted);
        tagged("session", || sessions.extend((sessions.len()..wanted).map(|_| server.buffers.get(65_536))));
        false
    });
    println!("periodic load:");
    server.print();
    if server.tags(Rule::Periodic) != BTreeSet::from(["session"]) {
        return Err(format!("the load of session was told of {:?}", server.tags(Rule::Periodic)).into());
    }
    no_leak(&server)
}

fn no_leak(server: &Server) -> Result<(), Box<dyn Error>> {
    let wrong =
        server.told().into_iter().find(|event| event.rule() == Rule::SlowLeak && event.change == Change::Raised);
    wrong.map_or(Ok(()), |event| Err(format!("a false alarm: {event}").into()))
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let seeds = match (arguments.next().as_deref(), arguments.next().as_deref()) {
        (Some("--quick"), None) => 0..2,
        (Some(seed), None) => return leak(seed.parse()?, LeakDetector::new(), true),
        (Some(seed), Some("calls")) => return leak(seed.parse()?, LeakDetector::new().with_backtraces(), true),
        (None, _) => 0..20,
        (_, Some(other)) => return Err(format!("it does not know {other:?}").into()),
    };
    for seed in seeds {
        leak(seed, LeakDetector::new(), false)?;
    }
    burst()?;
    periodic()
}
