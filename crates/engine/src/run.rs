//! The loop: first pass, then the next best question until settled or out of budget.

use crate::ask::{Answer, ask};
use crate::field::{Field, filed};
use crate::inner;
use crate::state::State;
use futures_util::future::join_all;
use netwhy_catalogue::Catalogue;
use netwhy_diagnose::{Candidate, Inputs, Posterior, Table, diagnose, rank_questions};
use netwhy_ends::{End, EndName};
use netwhy_model::host::Record;
use netwhy_model::{
    Case, Evidence, Lang, Leg, LegRecord, Question, SAVED_SCHEMA, SavedCase, Scheme, Stamp, Verdict,
};
use std::time::{Duration, Instant, SystemTime};
use tokio::time::error::Elapsed;

/// Questions one case may ask.
const QUESTIONS_MAX: usize = 40;
/// Questions asked side by side.
const BATCH_MAX: usize = 4;
/// A question worth less than this, in nats, is not asked.
const GAIN_MIN: f64 = 0.008;
/// Nor one worth less than this per second of cost, in nats.
const RATE_MIN: f64 = 0.06;
/// Nothing more is asked once one hypothesis holds this much.
const SETTLED_MIN: f64 = 0.96;
/// While nothing looks wrong, looking further stops after this long, in milliseconds.
const HEALTHY_BUDGET_MS: u64 = 1_300;
/// A handshake unanswered for so long makes the path worth asking about at once, in milliseconds.
const SILENCE_MS: u64 = 450;
/// A TLS handshake silent for this long will hardly be answered any more, in milliseconds.
const SPEECHLESS_MS: u64 = 700;
/// No question may take longer than so many times the cost it declares for a dead target.
const WORST_FACTOR: f64 = 1.5;
/// Nor is any cut off before so many milliseconds.
const WORST_MS_MIN: u64 = 4_000;
/// Between two looks at the ends while a question runs, in milliseconds.
const LOOK_EVERY_MS: u64 = 900;
/// Packets of the handshake reach the records within so many milliseconds.
const SETTLES_MS: u64 = 260;
/// Questions that load the target or time it; they run alone.
const ALONE: [&str; 4] = ["series", "loss", "http.repeat", "payload"];

/// What happens while a case runs, for a progress line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    Asking(Question),
    /// So many facts are known now.
    Seen(usize),
}

/// One case, run.
#[derive(Debug, Clone, PartialEq)]
pub struct Run {
    /// Everything needed to draw the same verdict again.
    pub saved: SavedCase,
    pub verdict: Verdict,
}

/// Runs one case within its budget.
pub async fn run(case: Case, lang: Lang, on_event: &(dyn Fn(Event) + Send + Sync)) -> Run {
    run_at(case, Vec::new(), Vec::new(), false, lang, on_event).await
}

/// Runs one case from here while other ends watch; `failed` are ends that could not be opened, and why.
///
/// `watch_self` records this host's own packets even without other ends, for a record that is joined later.
pub async fn run_at(
    case: Case,
    ends: Vec<(EndName, End)>,
    failed: Vec<(String, String)>,
    watch_self: bool,
    lang: Lang,
    on_event: &(dyn Fn(Event) + Send + Sync),
) -> Run {
    let mut field = Field::open(ends, watch_self).await;
    for (name, why) in failed {
        field.fail(name, why);
    }
    let table = table_for(&case, field.edge().is_some());
    let mut runner = Runner {
        case,
        table: &table,
        state: State::default(),
        field,
        records: Vec::new(),
        inner_records: Vec::new(),
        begun: Instant::now(),
        started: Stamp::from(SystemTime::now()),
        on_event,
    };
    runner.first_pass().await;
    runner.gather().await;
    runner.inner_leg().await;
    if !(runner.field.is_empty() || runner.chance()) && runner.is_settled() {
        return runner.finish(lang).await;
    }
    runner.forced().await;
    runner.question_loop().await;
    runner.finish(lang).await
}

/// Draws the verdict of a saved case again, byte for byte.
pub fn replay(saved: &SavedCase, lang: Lang) -> Verdict {
    let catalogue = Catalogue::embedded();
    let inner = saved.evidence.iter().any(|e| !e.leg.is_front());
    let table = table_for(&saved.case, inner);
    let asked: Vec<&str> = saved
        .evidence
        .iter()
        .filter(|e| e.leg.is_front())
        .filter_map(|e| catalogue.fact(&e.fact))
        .map(|f| f.ask.as_str())
        .collect();
    let unasked: Vec<(String, f64, u8)> = catalogue
        .questions()
        .filter(|q| !asked.contains(&q.name.as_str()) && fits(&saved.case, &q.name))
        .filter(|q| within_reach(&saved.evidence, &q.name))
        .map(|q| (q.name.clone(), q.cost_ms, q.intrusive))
        .collect();
    diagnose(
        catalogue,
        &table,
        Inputs {
            case: &saved.case,
            evidence: &saved.evidence,
            total_ms: saved.total_ms,
            lang,
            unasked: &unasked,
        },
    )
}

fn table_for(case: &Case, inner: bool) -> Table {
    let catalogue = Catalogue::embedded();
    let table = if inner { Table::with_inner(catalogue) } else { Table::new(catalogue) };
    table.about(&case.target)
}

/// Whether a question can belong to a case at all, by what the user said.
fn fits(case: &Case, question: &str) -> bool {
    let scheme = case.target.scheme;
    match question.split('.').next().unwrap_or_default() {
        "names" => case.target.name().is_some() && case.via.is_none(),
        "ends" => case.via.is_none() && scheme != Scheme::Dns,
        // Told by who has the files, never asked here.
        "policy" | "flows" => false,
        "udp" => scheme == Scheme::Udp,
        "tls" => scheme.uses_tls(),
        "origin" => case.origin.is_some(),
        "http" => match question {
            "http.health" => case.health_path.is_some(),
            "http.upgrade" => case.header("upgrade").is_some(),
            _ => scheme.uses_http(),
        },
        "local" => true,
        _ => !matches!(scheme, Scheme::Udp | Scheme::Dns),
    }
}

/// Whether what was seen leaves room for a question: nobody speaks TLS on a port that refuses.
fn within_reach(evidence: &[Evidence], question: &str) -> bool {
    let value = |fact: &str| {
        let of_fact = |e: &&Evidence| e.leg.is_front() && e.fact == fact && e.speaks();
        evidence.iter().rev().find(of_fact).map_or("", |e| e.value.as_str())
    };
    let opens = matches!(value("tcp.connect"), "open" | "intermittent");
    match question.split('.').next().unwrap_or_default() {
        "names" | "local" | "origin" | "ends" => true,
        "tls" | "payload" => opens,
        "http" => opens && matches!(value("tls.handshake"), "" | "ok"),
        _ => matches!(value("dns.answer"), "" | "ok"),
    }
}

struct Runner<'a> {
    case: Case,
    table: &'a Table,
    state: State,
    field: Field,
    /// What the ends saw of the user's connection, at the last look.
    records: Vec<Record>,
    inner_records: Vec<LegRecord>,
    begun: Instant,
    started: Stamp,
    on_event: &'a (dyn Fn(Event) + Send + Sync),
}

impl Runner<'_> {
    /// What a user's own client would do, in its order.
    async fn first_pass(&mut self) {
        self.find_addresses().await;
        self.handshake().await;
        if !self.field.is_empty() && self.look_settles().await {
            return;
        }
        // While packets or handshakes fail now and then, everything takes long: what the user asks comes first.
        if self.case.expect.loss_max.is_some() {
            self.ask_all(&["loss"]).await;
        }
        if self.case.expect.success_min.is_some() {
            self.ask_all(&["series"]).await;
        }
        if self.chance() && self.is_settled() {
            return;
        }
        self.greet().await;
        // Through a path that loses packets every further question takes seconds.
        if self.chance() && self.is_settled() {
            return;
        }
        self.ask_all(&["http", "tls.differential"]).await;
        self.knock_again().await;
        if self.case.target.scheme == Scheme::Tcp {
            self.ask_all(&["payload"]).await;
        }
    }

    /// The handshake; while it meets silence, the path is asked beside it rather than after.
    async fn handshake(&mut self) {
        if !self.state.may_ask(&self.case, "connect") {
            // Without an address, what this host knows of its way to the resolvers.
            return self.ask_all(&["local", "udp"]).await;
        }
        for question in ["connect", "local"] {
            (self.on_event)(Event::Asking(Question(question.to_owned())));
        }
        let left = Duration::from_millis(self.case.limits.budget_ms.saturating_sub(self.elapsed_ms()));
        // On the heap: moved into what awaits it, futures of whole questions would fill the stack.
        let work = Box::pin(watch_handshake(&self.case, &self.state, left));
        let (answers, traced) = attended(work, &mut self.field, &mut self.records).await;
        let (connect, local) = answers.unwrap_or_default();
        connect.into_state(&mut self.state, "connect");
        local.into_state(&mut self.state, "local");
        // A path asked while the handshake then succeeded may have met the same passing trouble.
        if let Some(answer) = traced
            && !self.state.opens()
        {
            answer.into_state(&mut self.state, "trace");
        }
        (self.on_event)(Event::Seen(self.state.evidence.len()));
    }

    /// The TLS handshake and what may go beside it; once it meets silence, the bytes are watched as well.
    async fn greet(&mut self) {
        let step = ["tls", "control", "stack"];
        if !self.state.may_ask(&self.case, "tls") {
            return self.ask_all(&step).await;
        }
        let due: Vec<&str> = step.into_iter().filter(|q| self.state.may_ask(&self.case, q)).collect();
        for question in &due {
            (self.on_event)(Event::Asking(Question((*question).to_owned())));
        }
        let left = Duration::from_millis(self.case.limits.budget_ms.saturating_sub(self.elapsed_ms()));
        let work = Box::pin(watch_greeting(&self.case, &self.state, &due, left));
        let (answers, payload) = attended(work, &mut self.field, &mut self.records).await;
        for (question, answer) in due.into_iter().zip(answers) {
            answer.into_state(&mut self.state, question);
        }
        if let Some(answer) = payload {
            answer.into_state(&mut self.state, "payload");
        }
        (self.on_event)(Event::Seen(self.state.evidence.len()));
    }

    /// What is asked whatever the posterior thinks of it: what the user's own words ask for, and every address of the
    /// name, since one that was not asked must not be called healthy.
    async fn forced(&mut self) {
        self.ask_all(&["origin", "http.addresses", "http.health", "http.upgrade"]).await;
        // Who says which address it must be wants every name server to say so.
        if !self.case.expect.address.is_empty() {
            self.ask_all(&["names.deep"]).await;
        }
        if self.chance() {
            for question in ["series", "loss", "http.repeat"] {
                if self.is_settled() {
                    break;
                }
                self.ask_all(&[question]).await;
            }
        }
        if self.case.expect.http.is_some() || self.case.header("accept-encoding").is_some() {
            self.ask_all(&["http.variants"]).await;
        }
    }

    /// Handshakes passed, and then one for TLS or HTTP did not: asked once more, or told as what comes and goes.
    async fn knock_again(&mut self) {
        let lost = |question: &str, fact: &str| {
            self.state.asked.contains(question) && self.state.value(fact).is_empty()
        };
        let questions: Vec<&str> = [("tls", "tls.handshake"), ("http", "http.exchange")]
            .into_iter()
            .filter(|(question, fact)| lost(question, fact))
            .map(|(question, _)| question)
            .collect();
        let Some(address) = self.state.address(&self.case).filter(|_| self.state.opens()) else { return };
        if questions.is_empty() {
            return;
        }
        let again = netwhy_probe::connect(&self.case, &[address]).await;
        if again.best.is_some() {
            for question in &questions {
                self.state.asked.remove(*question);
            }
            for question in ["tls", "http"] {
                self.ask_all(&[question]).await;
            }
            return;
        }
        let found = again.evidence.into_iter().find(|e| e.fact == "tcp.connect" && e.speaks());
        self.state.add(found.into_iter().flat_map(now_and_then).collect());
    }

    /// Whether something is wrong and one hypothesis explains it.
    fn is_settled(&self) -> bool {
        let posterior = Posterior::of(self.table, &self.table.observe(&self.state.evidence));
        posterior.healthy() < 0.5 && posterior.settled() >= SETTLED_MIN
    }

    /// Whether the user complains of something that comes and goes.
    fn chance(&self) -> bool {
        let expect = &self.case.expect;
        expect.success_min.is_some() || expect.loss_max.is_some()
    }

    async fn question_loop(&mut self) {
        for _ in 0..QUESTIONS_MAX {
            let seen = self.table.observe(&self.state.evidence);
            let posterior = Posterior::of(self.table, &seen);
            let healthy = posterior.healthy();
            let elapsed_ms = self.elapsed_ms();
            let limit_ms = if healthy > 0.5 { HEALTHY_BUDGET_MS } else { self.case.limits.budget_ms };
            if elapsed_ms >= limit_ms.min(self.case.limits.budget_ms)
                || (healthy < 0.5 && posterior.settled() >= SETTLED_MIN)
            {
                return;
            }
            let open = self.open_questions(limit_ms - elapsed_ms);
            let ranked = rank_questions(self.table, &posterior, &seen, &open);
            let batch = batch(&ranked);
            if batch.is_empty() {
                return;
            }
            self.ask_all(&batch).await;
            self.gather().await;
        }
    }

    /// Questions that make sense now and fit the time left, with what they would cost here.
    fn open_questions(&self, left_ms: u64) -> Vec<(String, f64, u8)> {
        let troubled = matches!(self.state.value("tcp.connect"), "silent" | "intermittent" | "rejected")
            || matches!(self.state.value("http.exchange"), "timeout")
            || matches!(self.state.value("tls.handshake"), "silent" | "stalled");
        Catalogue::embedded()
            .questions()
            .filter(|q| self.state.may_ask(&self.case, &q.name))
            .map(|q| (q.name.clone(), if troubled { q.worst_ms / 2.0 } else { q.cost_ms }, q.intrusive))
            .filter(|(_, cost_ms, _)| *cost_ms <= left_ms as f64)
            .collect()
    }

    /// Asks several questions side by side, each within what is left of the budget.
    async fn ask_all(&mut self, questions: &[&str]) {
        let due: Vec<String> =
            questions.iter().filter(|q| self.state.may_ask(&self.case, q)).map(|q| (*q).to_owned()).collect();
        let left = Duration::from_millis(self.case.limits.budget_ms.saturating_sub(self.elapsed_ms()));
        if left.is_zero() {
            return;
        }
        let (case, state) = (&self.case, &self.state);
        let running = due.into_iter().map(|question| {
            (self.on_event)(Event::Asking(Question(question.clone())));
            async move {
                // What the user himself asked to be measured may take all that is left.
                let wanted = question == "loss" && case.expect.loss_max.is_some();
                let limit = if wanted { left } else { left.min(patience(&question)) };
                let answer = tokio::time::timeout(limit, ask(case, state, &question)).await;
                (question, answer.unwrap_or_default())
            }
        });
        let answers: Vec<(String, Answer)> =
            attended(join_all(running), &mut self.field, &mut self.records).await;
        self.keep_passing();
        for (question, answer) in answers {
            answer.into_state(&mut self.state, &question);
        }
        (self.on_event)(Event::Seen(self.state.evidence.len()));
    }

    fn elapsed_ms(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    async fn finish(mut self, lang: Lang) -> Run {
        self.field.close().await;
        self.state.add(self.field.failures());
        let total_ms = self.elapsed_ms();
        let mut records = filed(Leg::Front, self.records);
        records.append(&mut self.inner_records);
        let saved = SavedCase {
            schema: SAVED_SCHEMA.to_owned(),
            total_ms,
            started: self.started,
            case: self.case,
            evidence: self.state.evidence,
            records,
        };
        let verdict = replay(&saved, lang);
        Run { saved, verdict }
    }
}

impl Runner<'_> {
    /// Learns the addresses, and has every end watch what goes to them.
    async fn find_addresses(&mut self) {
        let named = self.case.target.name().is_some() && self.case.via.is_none();
        if named {
            (self.on_event)(Event::Asking(Question("names".to_owned())));
        }
        let names = async {
            match self.case.via {
                Some(via) => Answer { resolution: Some(inner::resolved(via)), ..Answer::default() },
                None => ask(&self.case, &self.state, "names").await,
            }
        };
        let (mut answer, ()) = tokio::join!(names, self.field.judge());
        if !named {
            // An address written out is looked up by nobody.
            answer.evidence.clear();
        }
        answer.into_state(&mut self.state, "names");
        let targets: Vec<_> = self.state.addresses(&self.case).into_iter().map(|a| a.ip()).collect();
        self.field.watch(&self.case, &targets).await;
    }

    /// Looks at the ends, and files what their records say together.
    async fn gather(&mut self) {
        if self.field.is_empty() {
            return;
        }
        self.records = self.field.look().await;
        self.keep_passing();
        self.state.asked.insert("ends".to_owned());
    }

    /// Files what the last look said: some states pass, and are seen only while a question runs.
    fn keep_passing(&mut self) {
        if self.records.is_empty() {
            return;
        }
        let mut evidence = self.field.conclude(&self.case, &self.records);
        // Once the node has probed its origin for us, its own connections are lost among ours.
        if self.inner_records.is_empty() {
            evidence.extend(self.field.onward(&self.case, &self.records).0);
        }
        self.state.settle(evidence);
    }

    /// After the handshake alone: whether the ends already say what is wrong.
    async fn look_settles(&mut self) -> bool {
        tokio::time::sleep(Duration::from_millis(SETTLES_MS)).await;
        self.gather().await;
        !self.state.opens() && !self.chance() && self.field.edge().is_none() && self.is_settled()
    }

    /// Has the node diagnose its own connection to the origin, as it would itself.
    async fn inner_leg(&mut self) {
        let (_, onward) = self.field.onward(&self.case, &self.records);
        let (Some(edge), Some(onward)) = (self.field.edge().cloned(), onward) else { return };
        // Where the node itself is out of reach, what it does behind is not what the user meets.
        if !self.state.opens() {
            return;
        }
        (self.on_event)(Event::Asking(Question("ends".to_owned())));
        let left_ms = self.case.limits.budget_ms.saturating_sub(self.elapsed_ms());
        let is_served = self.state.value("http.status") == "expected";
        let manner = self.field.manner(&self.case, &self.records, onward);
        match inner::run(&self.case, &edge, self.field.beyond_edge(), onward, manner, is_served, left_ms)
            .await
        {
            Ok((evidence, records)) => {
                self.state.add(evidence);
                self.inner_records = records;
            }
            Err(why) => self.field.fail(edge.name().name.clone(), why),
        }
        self.gather().await;
    }
}

/// Waits for answers; meanwhile looks at the ends now and then, since some states pass.
async fn attended<T>(work: impl Future<Output = T>, field: &mut Field, records: &mut Vec<Record>) -> T {
    if field.is_empty() {
        return work.await;
    }
    let watcher = async {
        loop {
            tokio::time::sleep(Duration::from_millis(LOOK_EVERY_MS)).await;
            *records = field.look().await;
        }
    };
    tokio::select! {
        done = work => done,
        () = watcher => unreachable!("the watcher ends with the work"),
    }
}

/// The handshake and what this host knows of itself; the path as well, once silence lasts.
async fn watch_handshake(
    case: &Case,
    state: &State,
    left: Duration,
) -> (Result<(Answer, Answer), Elapsed>, Option<Answer>) {
    let mut trace = std::pin::pin!(async {
        tokio::time::sleep(Duration::from_millis(SILENCE_MS)).await;
        tokio::time::timeout(left, ask(case, state, "trace")).await.ok()
    });
    let both = async { tokio::join!(ask(case, state, "connect"), ask(case, state, "local")) };
    let mut both = std::pin::pin!(tokio::time::timeout(left, both));
    let begun = Instant::now();
    tokio::select! {
        answers = &mut both => {
            let silent = answers.as_ref().is_ok_and(|(c, _)| c.connected.as_ref().is_some_and(|c| c.best.is_none()));
            // What was begun is worth finishing only if the handshake explains nothing by itself.
            let worth = silent && begun.elapsed() > Duration::from_millis(SILENCE_MS);
            (answers, if worth { trace.await } else { None })
        }
        answer = &mut trace => (both.await, answer),
    }
}

/// Some questions side by side, and what becomes of the first bytes once the TLS handshake stays silent.
async fn watch_greeting(
    case: &Case,
    state: &State,
    questions: &[&str],
    left: Duration,
) -> (Vec<Answer>, Option<Answer>) {
    let mut payload = std::pin::pin!(async {
        tokio::time::sleep(Duration::from_millis(SPEECHLESS_MS)).await;
        tokio::time::timeout(left, ask(case, state, "payload")).await.ok()
    });
    let each = questions.iter().map(|question| async {
        let limit = left.min(patience(question));
        tokio::time::timeout(limit, ask(case, state, question)).await.unwrap_or_default()
    });
    let mut all = std::pin::pin!(join_all(each));
    let speechless = |answers: &[Answer]| {
        let mut evidence = answers.iter().flat_map(|answer| &answer.evidence);
        evidence.any(|e| e.fact == "tls.handshake" && matches!(e.value.as_str(), "silent" | "stalled"))
    };
    let begun = Instant::now();
    tokio::select! {
        answers = &mut all => {
            let worth = speechless(&answers) && begun.elapsed() > Duration::from_millis(SPEECHLESS_MS);
            let payload = if worth { payload.await } else { None };
            (answers, payload)
        }
        payload = &mut payload => {
            let answers = all.await;
            let worth = speechless(&answers);
            (answers, payload.filter(|_| worth))
        }
    }
}

/// Handshakes that failed after others had passed.
fn now_and_then(later: Evidence) -> Vec<Evidence> {
    let excerpt = format!("handshakes passed at first; later {}", later.excerpt);
    let told = |fact: &str, value: &str| Evidence {
        fact: fact.to_owned(),
        value: value.to_owned(),
        excerpt: excerpt.clone(),
        ..later.clone()
    };
    let mut all = vec![told("tcp.connect", "intermittent")];
    if later.value == "refused" {
        all.push(told("tcp.series", "some_refused"));
    }
    all
}

/// The longest a question is waited for, whatever its collector thinks.
fn patience(question: &str) -> Duration {
    let worst_ms = Catalogue::embedded().question(question).map_or(0.0, |q| q.worst_ms * WORST_FACTOR);
    Duration::from_millis((worst_ms as u64).max(WORST_MS_MIN))
}

/// The best question and, unless it must run alone, the next best that may run beside it.
fn batch(ranked: &[Candidate]) -> Vec<&str> {
    let worth: Vec<&Candidate> = ranked.iter().filter(|c| c.gain >= GAIN_MIN && c.rate >= RATE_MIN).collect();
    let Some(best) = worth.first() else { return Vec::new() };
    if ALONE.contains(&best.question.as_str()) {
        return vec![&best.question];
    }
    worth.into_iter().map(|c| c.question.as_str()).filter(|q| !ALONE.contains(q)).take(BATCH_MAX).collect()
}
