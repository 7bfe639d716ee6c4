//! Guessed passwords from logs of logins: fast, slow, many users, many sources, and the success that follows.

mod source;
mod user;
mod words;

use super::alert::{Alert, BreakIn};
use super::logs::Told;
use crate::logs::{Event, Login, LoginMethod, Outcome, Service};
use crate::names::Names;
use crate::record::Address;
use source::Source;
use std::collections::HashMap;
use std::sync::Arc;
use user::User;

/// How many strangers are followed at a time.
const SOURCE_COUNT_MAX: usize = 32_768;
/// How many user names are followed at a time.
const USER_COUNT_MAX: usize = 8_192;
/// A stranger that was silent for so long begins anew.
const SILENCE_MS_MAX: i64 = 24 * 3_600_000;
/// How many alerts wait to be told.
const TOLD_COUNT_MAX: usize = 4096;

/// Follows every source and every user that fails to log in.
#[derive(Debug)]
pub struct LoginDetector {
    names: Arc<Names>,
    sources: HashMap<(Service, Address), Source>,
    users: HashMap<(Service, Box<str>), User>,
    done: Vec<Alert>,
}

impl LoginDetector {
    pub fn new(names: Arc<Names>) -> LoginDetector {
        LoginDetector { names, sources: HashMap::new(), users: HashMap::new(), done: Vec::new() }
    }

    /// Takes one attempt.
    pub fn login(&mut self, event: &Event, login: &Login) {
        if event.client.is_unknown() {
            return;
        }
        let key = (login.service, event.client);
        if self.sources.get(&key).is_some_and(|source| event.time_ms - source.last_ms > SILENCE_MS_MAX) {
            self.close_source(key);
        }
        if self.sources.len() >= SOURCE_COUNT_MAX && !self.sources.contains_key(&key) {
            self.make_room();
        }
        let source = self.sources.entry(key).or_insert_with(|| Source::new(event.time_ms));
        if login.outcome == Outcome::Accepted {
            let has_failed = source.attempts > 0;
            let broke_in = source.accepted(event, login);
            if broke_in || has_failed && self.user_guessed(event, login) {
                self.break_in(key, event, login, broke_in);
            }
            return;
        }
        let attempts = source.failed(event, login);
        if attempts > 0 && !login.user.is_empty() {
            self.user_failed(event, login, attempts);
        }
    }

    fn user_failed(&mut self, event: &Event, login: &Login, attempts: u32) {
        let key = (login.service, login.user.clone());
        if self.users.get(&key).is_some_and(|user| event.time_ms - user.last_ms > SILENCE_MS_MAX) {
            self.close_user(&key);
        }
        if self.users.len() >= USER_COUNT_MAX && !self.users.contains_key(&key) {
            // Users tried from one place only tell nothing here.
            self.users.retain(|_, user| user.sources() > 2);
            if self.users.len() >= USER_COUNT_MAX {
                return;
            }
        }
        self.users.entry(key).or_insert_with(|| User::new(event, login)).failed(event, attempts);
    }

    /// Whether a user that many sources guessed at was let in from a source that may be one of them.
    fn user_guessed(&self, event: &Event, login: &Login) -> bool {
        if login.method == LoginMethod::PublicKey {
            return false;
        }
        let user = self.users.get(&(login.service, login.user.clone()));
        user.is_some_and(|user| user.is_attack() && user.has(event.client) && user.last_ms <= event.time_ms)
    }

    fn break_in(&mut self, key: (Service, Address), event: &Event, login: &Login, alone: bool) {
        let Some(source) = self.sources.get(&key) else { return };
        let told = words::break_in(source, event, login, alone);
        let mut alert = told.alert(&self.names);
        alert.break_in = Some(BreakIn {
            source: event.client.to_string(),
            host: words::host(event),
            at: event.time_ms.div_euclid(1000),
            bytes: 0,
            followed_by: None,
        });
        self.keep(alert);
    }

    fn close_source(&mut self, key: (Service, Address)) {
        if let Some(source) = self.sources.remove(&key)
            && !source.is_told
            && let Some(told) = words::guessing(key, &source)
        {
            self.tell(told);
        }
    }

    fn close_user(&mut self, key: &(Service, Box<str>)) {
        if let Some(user) = self.users.remove(key)
            && !user.is_told
            && let Some(told) = words::distributed(key, &user)
        {
            self.tell(told);
        }
    }

    /// Forgets the half that was silent for longest.
    fn make_room(&mut self) {
        let mut last: Vec<i64> = self.sources.values().map(|source| source.last_ms).collect();
        let middle = last.len() / 2;
        let (_, median, _) = last.select_nth_unstable(middle);
        let median = *median;
        let old: Vec<_> =
            self.sources.iter().filter(|(_, source)| source.last_ms <= median).map(|(key, _)| *key).collect();
        for key in old {
            self.close_source(key);
        }
    }

    fn tell(&mut self, told: Told) {
        let alert = told.alert(&self.names);
        self.keep(alert);
    }

    fn keep(&mut self, alert: Alert) {
        if self.done.len() < TOLD_COUNT_MAX {
            self.done.push(alert);
        }
    }

    /// What is known by now, each attack told once.
    pub fn tick(&mut self) -> Vec<Alert> {
        let mut told: Vec<Told> = Vec::new();
        for (key, source) in self.sources.iter_mut().filter(|(_, source)| !source.is_told) {
            if let Some(found) = words::guessing(*key, source) {
                source.is_told = true;
                told.push(found);
            }
        }
        for (key, user) in self.users.iter_mut().filter(|(_, user)| !user.is_told) {
            if let Some(found) = words::distributed(key, user) {
                user.is_told = true;
                told.push(found);
            }
        }
        told.into_iter().for_each(|found| self.tell(found));
        std::mem::take(&mut self.done)
    }

    /// All that was found and not yet told.
    pub fn finish(&mut self) -> Vec<Alert> {
        let alerts = self.tick();
        self.sources.clear();
        self.users.clear();
        alerts
    }
}
