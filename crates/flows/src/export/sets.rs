//! NetFlow v9 and IPFIX: templates are learnt, records decoded, what comes before its template waits.

use super::draft::{Clock, Draft};
use super::plan::{Plan, PlanFields};
use super::source::{Source, Waiting};
use super::{Arrival, Counts, ExportError, Shared};
use crate::record::{Direction, Flow};
use netwhy_wire::Take;
use netwhy_wire::ipfix::{self, Dialect, Set, Sets, TemplateError};

/// One datagram's sets on their way through a source.
pub struct SetReader<'s> {
    pub dialect: Dialect,
    pub source: &'s mut Source,
    pub shared: &'s mut Shared,
    pub arrival: Arrival,
    pub clock: Clock,
    /// Records of all kinds so far.
    pub records: u32,
    /// False once a set could not be counted for lack of its template.
    pub counted: bool,
    pub error: Option<ExportError>,
}

impl SetReader<'_> {
    pub fn read(&mut self, take: Take<'_>, each: &mut impl FnMut(&Flow)) {
        let mut sets = Sets::new(self.dialect, take);
        for set in sets.by_ref() {
            match set {
                Set::Templates(bytes) => self.templates(bytes, false, each),
                Set::OptionsTemplates(bytes) => self.templates(bytes, true, each),
                Set::Data(template, bytes) => self.data(template, bytes, each),
                Set::Reserved(number) => self.fail(ExportError::Set(number)),
            }
        }
        // Some exporters pad the whole datagram with zeros.
        if sets.take.rest.iter().any(|byte| *byte != 0) {
            self.fail(ExportError::Short("set"));
        }
    }

    fn fail(&mut self, error: ExportError) {
        self.error.get_or_insert(error);
    }

    fn templates(&mut self, bytes: &[u8], options: bool, each: &mut impl FnMut(&Flow)) {
        let mut take = Take::new(bytes);
        loop {
            let next = if options {
                ipfix::options_template(self.dialect, &mut take)
            } else {
                ipfix::template(self.dialect, &mut take)
            };
            match next {
                None => return,
                Some(Ok(template)) => self.learn(&template, each),
                Some(Err(error)) => {
                    self.fail(ExportError::Template(error));
                    if matches!(error, TemplateError::Fields(..)) {
                        self.shared.counts.refused += 1;
                    }
                    // A template whose end is not known hides those behind it.
                    if matches!(error, TemplateError::Short | TemplateError::Fields(..)) {
                        return;
                    }
                }
            }
            if self.dialect == Dialect::V9 {
                self.records += 1;
            }
        }
    }

    fn learn(&mut self, template: &ipfix::Template, each: &mut impl FnMut(&Flow)) {
        let plan = (!template.fields.is_empty()).then(|| Plan::new(self.dialect, template));
        if !self.source.learn(template.number, plan, &mut self.shared.budget) {
            self.shared.counts.refused += 1;
            return;
        }
        // What waits for a template goes on waiting when that is withdrawn.
        let Some(plan) = self.source.plan(template.number) else { return };
        let (arrival, clock) = (self.arrival, self.clock);
        for waiting in self.source.waited(template.number, &mut self.shared.budget) {
            (self.arrival, self.clock) = (waiting.arrival, waiting.clock);
            self.records_of(&plan, &waiting.records, each);
        }
        (self.arrival, self.clock) = (arrival, clock);
    }

    fn data(&mut self, template: u16, bytes: &[u8], each: &mut impl FnMut(&Flow)) {
        if let Some(plan) = self.source.plan(template) {
            self.records += self.records_of(&plan, bytes, each);
            return;
        }
        self.counted = false;
        let waiting = Waiting { template, records: bytes.into(), clock: self.clock, arrival: self.arrival };
        if !self.source.wait(waiting, &mut self.shared.budget) {
            self.shared.counts.sets_without_template += 1;
        }
    }

    fn records_of(&mut self, plan: &Plan, bytes: &[u8], each: &mut impl FnMut(&Flow)) -> u32 {
        let mut take = Take::new(bytes);
        let mut draft = Draft::default();
        let mut count = 0;
        let clock = Clock { init_ms: self.source.init_ms, ..self.clock };
        while plan.record(&mut take, &mut draft).is_some() {
            count += 1;
            match plan.fields {
                PlanFields::Options => self.source.learn_option(&draft, self.shared),
                PlanFields::Flows => self.flow(&draft, &clock, each),
            }
        }
        if !plan.is_end(&take) {
            self.fail(ExportError::Short("record"));
        }
        count
    }

    fn flow(&mut self, draft: &Draft<'_>, clock: &Clock, each: &mut impl FnMut(&Flow)) {
        let mut made = draft.make(clock, self.source.sampling(draft));
        if made.forward.source.is_unknown() && made.forward.destination.is_unknown() {
            self.shared.counts.records_without_addresses += 1;
            return;
        }
        // Who watches a packet going out knows the interface it leaves by.
        let (seen, other) = match made.forward.direction {
            Direction::Out if made.output != 0 => (made.output, made.input),
            _ if made.input != 0 => (made.input, made.output),
            _ => (made.output, made.output),
        };
        made.forward.interface = self.source.interface(seen, self.shared);
        made.forward.rule = self.source.acl(made.acl, self.shared);
        let silent = made.forward.packets == 0 && made.forward.bytes == 0;
        if !silent || made.backward.is_none() {
            emit(&self.arrival, &mut self.shared.counts, made.forward, each);
        }
        if let Some(mut backward) = made.backward {
            backward.interface = self.source.interface(other, self.shared);
            backward.rule = made.forward.rule;
            emit(&self.arrival, &mut self.shared.counts, backward, each);
        }
    }
}

/// Gives a flow its place and hands it on.
pub fn emit(arrival: &Arrival, counts: &mut Counts, flow: Flow, each: &mut impl FnMut(&Flow)) {
    counts.flows += 1;
    each(&Flow { file: arrival.file, offset: arrival.offset, ..flow });
}
