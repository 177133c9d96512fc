//! The command `wse-bench`.
use std::{
    fs,
    io::IsTerminal,
    path::{Path, PathBuf},
    process::ExitCode,
};
use wse_bench::{
    BenchError, Doing, Result, chart,
    cli::Arguments,
    compare::Sense,
    judged,
    machine::{self, Machine},
    own, page, plan, report,
    report::Report,
    returning,
    runner::{self, Cores, Outcome, Trial},
    subject::{self, Places},
    versions,
};

const HELP: &str = "\
wse-bench measures WebSocket servers over loopback by what a receiver got.

  wse-bench run SCENARIO [options]     one scenario on servers that it starts, interleaved with the floor
  wse-bench suite short|full [options] the list of scenarios that the page is made from
  wse-bench returns each|all [options] clients that lose their connections and return, on one server: prints JSON
  wse-bench load SCENARIO --url URL    the load alone, against any server: prints JSON
  wse-bench render FILE.json           tables of an earlier call; with --page, into a page
  wse-bench servers                    what it can start, and whether that is installed

Scenarios and their options (defaults):
  fanout    --subscribers 100 --size 128 --burst 64 --window 64 --warmup 0.2 --seconds 1, or --rate MESSAGES_PER_SECOND
            --burst 1: one message per write; --floor-size B: the floor's messages, to have as many bytes on the wire as WSE's
            --stalled N: subscribers more that never read; --churn N: clients more that come and go
  growth    --few 1000 --subscribers 10000: the cost of a delivery to many by that to few
  topics    --others 99999 --subscribers 1: the cost of a delivery with so many other topics by that without
  stalled   --stalled 1000 --subscribers 1000 --rate 40 --size 16384 --seconds 3: the p99 beside clients that do not read by that
            where all 2000 do; these three have the options of fanout too
  ingest    --connections 8 --size 128 --seconds 1
  echo      --connections 1 --size 128 --warmup 0.2 --seconds 1
  connects  --under-way 32 --warmup 0.2 --seconds 1
  idle      --few 1000 --many 10000 --settle 1

returns: --server wse  --clients 1000  --size 128  --rate 10 (messages per second)  --seconds 60
  each: --every 10 --away 2 (seconds): each client in turn    all: --under-way 256: all at once after a third of the time
run and suite: --servers a,b,c  --rounds 9  --server-core 0  --load-core 1  --root .  --json FILE
render: --page FILE.md --svg FILE.svg
load: --url ws://HOST:PORT/PATH  --pid N (the server's, to read its CPU and memory)  --hello TEXT (first frame)
  --ready TEXT (which the last message before a client is ready contains)  --speech plain|wse|socket.io  --load-core N
  --connections, --seconds and the like as above; fanout listens to what is published and checks the numbers of stamped messages
";

fn main() -> ExitCode {
    match command() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error @ BenchError::Server(_)) => failed(&format!("the measurement failed: {error}")),
        Err(error) => failed(&error.to_string()),
    }
}

fn failed(text: &str) -> ExitCode {
    eprintln!("{text}");
    ExitCode::FAILURE
}

fn command() -> Result<()> {
    let mut arguments = Arguments::read()?;
    let verb = if arguments.words.is_empty() { "help".to_owned() } else { arguments.words.remove(0) };
    match verb.as_str() {
        "run" | "suite" => measure(&verb, arguments),
        "load" => {
            println!("{:#}", own::run(arguments)?);
            Ok(())
        }
        "returns" => {
            println!("{:#}", returning::run(arguments)?);
            Ok(())
        }
        "render" => render(arguments),
        "servers" => servers(arguments),
        "help" => {
            print!("{HELP}");
            Ok(())
        }
        other => Err(BenchError::Usage(format!("no command {other:?}\n\n{HELP}"))),
    }
}

fn measure(verb: &str, mut arguments: Arguments) -> Result<()> {
    let line = arguments.line();
    let root: PathBuf = arguments.take_or("root", ".".into())?;
    let json: Option<PathBuf> = arguments.take("json")?;
    let cores = machine::cores();
    let second = cores.get(1).or(cores.first()).copied();
    let cores = Cores { server: arguments.take("server-core")?.or(cores.first().copied()), load: arguments.take("load-core")?.or(second) };
    machine::raise_descriptors();
    let places = Places::under(&root);
    let trials = if verb == "run" { vec![plan::trial(arguments)?] } else { suite(arguments)? };
    let versions = versions::read(&places);
    let mut report =
        Report { command: format!("wse-bench {verb} {line}"), machine: Machine::read(), versions, trials: Vec::new(), skipped: Vec::new() };
    for mut trial in trials {
        leave_out(&mut trial, &places, &mut report.skipped);
        let outcome = runner::run(&trial, &places, cores, &mut progress)?;
        progress("");
        print!("{}", report::table(&outcome));
        report.trials.push(outcome);
        if let Some(path) = &json {
            let text = serde_json::to_string_pretty(&report).map_err(|error| BenchError::Usage(error.to_string()))?;
            fs::write(path, text).doing(&path.to_string_lossy())?;
        }
    }
    report.skipped.iter().for_each(|skipped| println!("left out: {skipped}"));
    Ok(())
}

fn suite(mut arguments: Arguments) -> Result<Vec<Trial>> {
    let list = match arguments.words.first().map(String::as_str) {
        Some("short") => plan::SHORT,
        Some("full") => plan::FULL,
        _ => return Err(BenchError::Usage("wse-bench suite short, or full".into())),
    };
    let mut trials = list.iter().map(|line| plan::entry(line)).collect::<Result<Vec<_>>>()?;
    if let Some(servers) = arguments.take::<String>("servers")? {
        let chosen = subject::named(&servers)?;
        trials.iter_mut().for_each(|trial| trial.subjects.retain(|subject| chosen.iter().any(|one| one.name == subject.name)));
        trials.retain(|trial| !trial.subjects.is_empty());
    }
    if let Some(rounds) = arguments.take("rounds")? {
        trials.iter_mut().for_each(|trial| trial.rounds = rounds);
    }
    arguments.finish()?;
    Ok(trials)
}

/// Leaves out servers that are not installed, once with a word.
fn leave_out(trial: &mut Trial, places: &Places, skipped: &mut Vec<String>) {
    trial.subjects.retain(|subject| {
        let installed = subject.is_installed(places);
        let text = format!("{} ({}): not installed; tools/bench.sh installs it", subject.name, subject.is);
        if !installed && !skipped.contains(&text) {
            skipped.push(text);
        }
        installed
    });
}

/// Shows what goes on, on one line of a terminal that is rewritten.
fn progress(text: &str) {
    if std::io::stderr().is_terminal() {
        eprint!("\r\x1b[K{text}");
    }
}

fn servers(mut arguments: Arguments) -> Result<()> {
    let places = Places::under(&arguments.take_or("root", PathBuf::from("."))?);
    arguments.finish()?;
    for subject in subject::all() {
        let installed = if subject.is_installed(&places) { "" } else { " (not installed)" };
        println!("{:<12} {}{installed}", subject.name, subject.is);
    }
    Ok(())
}

fn render(mut arguments: Arguments) -> Result<()> {
    let file = arguments.words.first().cloned().ok_or_else(|| BenchError::Usage("wse-bench render FILE.json".into()))?;
    let (page, svg): (Option<PathBuf>, Option<PathBuf>) = (arguments.take("page")?, arguments.take("svg")?);
    arguments.finish()?;
    let text = fs::read_to_string(&file).doing(&file)?;
    let report: Report = serde_json::from_str(&text).map_err(|error| BenchError::Usage(format!("{file}: {error}")))?;
    report.trials.iter().for_each(|trial| print!("{}", report::table(trial)));
    if let Some(path) = &svg {
        fs::write(path, chart::draw("Deliveries per CPU second of the server, as a share of the floor's", &groups(&report)))
            .doing(&path.to_string_lossy())?;
    }
    page.map_or(Ok(()), |path| insert(&path, &page::page(&report, svg.as_deref().and_then(Path::file_name).and_then(|name| name.to_str()))))
}

/// The first two fan-outs of a report: coalesced, and one message per write.
fn groups(report: &Report) -> Vec<chart::Group> {
    let shares = report.trials.iter().filter(|trial| trial.sense == Sense::Share && trial.gate.is_some());
    shares.take(2).map(|trial| chart::Group { title: trial.title.clone(), bars: bars(trial) }).collect()
}

fn bars(trial: &Outcome) -> Vec<(String, f64, f64, f64)> {
    let judged = judged::Judged::new(trial);
    let against = |row: &judged::Row| if row.name == "floor" { judged.itself } else { row.ratio };
    let bar = |row: &judged::Row| against(row).map(|ratio| (row.name.clone(), ratio.median, ratio.low, ratio.high));
    judged.rows.iter().filter_map(bar).collect()
}

/// Puts results between the two marks of a page.
fn insert(path: &Path, results: &str) -> Result<()> {
    const MARKS: [&str; 2] = ["<!-- results -->\n", "<!-- end of results -->"];
    let text = fs::read_to_string(path).doing(&path.to_string_lossy())?;
    let parts = text.split_once(MARKS[0]).and_then(|(before, rest)| Some((before, rest.split_once(MARKS[1])?.1)));
    let (before, after) =
        parts.ok_or_else(|| BenchError::Usage(format!("{} has not the marks between which results go", path.display())))?;
    fs::write(path, format!("{before}{}{results}{}{after}", MARKS[0], MARKS[1])).doing(&path.to_string_lossy())
}
