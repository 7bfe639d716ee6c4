//! Works out expressions: operators, templates, conditions, `for`.

use super::functions;
use super::module::{Scope, World};
use super::value::{self, entries, is_known, word};
use crate::doc::{Node, Value};
use crate::place::Place;
use hcl_edit::expr::{
    BinaryOp, BinaryOperator, Expression, ForExpr, ObjectKey, TraversalOperator, UnaryOp, UnaryOperator,
};
use hcl_edit::template::Element;

/// How deep values and references may lead into each other.
const DEPTH_MAX: usize = 80;

impl World<'_> {
    /// A value with everything in it worked out as far as it can be.
    pub fn evaluate(&mut self, scope: &Scope, written: &Node) -> Node {
        if self.depth >= DEPTH_MAX || !self.budget.spend(64) {
            return self.give_up(written);
        }
        self.depth += 1;
        let value = match &written.value {
            Value::Expression(source) => hcl_edit::parser::parse_expr(source)
                .or_else(|_| hcl_edit::parser::parse_expr(&format!("{source}\n")))
                .ok()
                .and_then(|expression| self.expression(scope, &expression, &written.place))
                .unwrap_or_else(|| written.clone()),
            Value::List(nodes) => {
                let nodes = nodes.iter().map(|each| self.evaluate(scope, each)).collect();
                value::list(&written.place, nodes)
            }
            Value::Map(members) => {
                let members =
                    members.iter().map(|(key, each)| (key.clone(), self.evaluate(scope, each))).collect();
                value::node(&written.place, Value::Map(members))
            }
            _ => written.clone(),
        };
        self.depth -= 1;
        if self.budget.spend(value::size(&value)) { value } else { self.give_up(written) }
    }

    /// A part of an expression; as written when it cannot be worked out.
    fn part(&mut self, scope: &Scope, expression: &Expression, place: &Place) -> Node {
        let written = || value::node(place, Value::Expression(expression.to_string().trim().to_owned()));
        if self.depth >= DEPTH_MAX || !self.budget.spend(64) {
            return self.give_up(&written());
        }
        self.depth += 1;
        let found = self.expression(scope, expression, place);
        self.depth -= 1;
        match found {
            Some(found) if self.budget.spend(value::size(&found)) => found,
            Some(_) => self.give_up(&written()),
            None => written(),
        }
    }

    fn expression(&mut self, scope: &Scope, expression: &Expression, place: &Place) -> Option<Node> {
        let known = |value| Some(value::node(place, value));
        match expression {
            Expression::Null(_) => known(Value::Null),
            Expression::Bool(bool) => known(Value::Bool(*bool.value())),
            Expression::Number(number) => known(Value::Number(number.value().to_string())),
            Expression::String(text) => known(Value::Text(text.value().clone())),
            Expression::Array(array) => {
                known(Value::List(array.iter().map(|each| self.part(scope, each, place)).collect()))
            }
            Expression::Object(object) => {
                let mut members = Vec::new();
                for (key, member) in object.iter() {
                    let key = match key {
                        ObjectKey::Ident(name) => name.as_str().to_owned(),
                        ObjectKey::Expression(key) => word(&self.part(scope, key, place))?,
                    };
                    members.push((key, self.part(scope, member.expr(), place)));
                }
                known(Value::Map(members))
            }
            Expression::StringTemplate(template) => self.template(scope, template.iter(), place),
            Expression::HeredocTemplate(heredoc) => self.template(scope, heredoc.template.iter(), place),
            Expression::Parenthesis(inner) => self.expression(scope, inner.inner(), place),
            Expression::Variable(name) => self.variable(scope, name.as_str(), &[], place),
            Expression::Conditional(choice) => {
                let branch = match self.part(scope, &choice.cond_expr, place).bool()? {
                    true => &choice.true_expr,
                    false => &choice.false_expr,
                };
                Some(self.part(scope, branch, place))
            }
            Expression::FuncCall(call) => {
                let mut arguments: Vec<Node> =
                    call.args.iter().map(|each| self.part(scope, each, place)).collect();
                if call.args.expand_final() {
                    let last = arguments.pop()?;
                    arguments.extend_from_slice(last.list());
                }
                let name = (!call.name.is_namespaced()).then(|| call.name.name.as_str())?;
                functions::call(name, &arguments, place)
            }
            Expression::Traversal(traversal) => self.traversal(scope, traversal, place),
            Expression::UnaryOp(operation) => self.unary(scope, operation, place),
            Expression::BinaryOp(operation) => self.binary(scope, operation, place),
            Expression::ForExpr(for_each) => self.for_each(scope, for_each, place),
        }
    }

    fn traversal(
        &mut self,
        scope: &Scope,
        traversal: &hcl_edit::expr::Traversal,
        place: &Place,
    ) -> Option<Node> {
        let mut steps = Vec::new();
        for operator in &traversal.operators {
            steps.push(match operator.value() {
                TraversalOperator::GetAttr(name) => Step::Member(name.as_str().to_owned()),
                TraversalOperator::AttrSplat(_) | TraversalOperator::FullSplat(_) => Step::Every,
                TraversalOperator::Index(index) => Step::Member(word(&self.part(scope, index, place))?),
                TraversalOperator::LegacyIndex(index) => Step::Member(index.value().to_string()),
            });
        }
        match &traversal.expr {
            Expression::Variable(name) => self.variable(scope, name.as_str(), &steps, place),
            other => walk(&self.part(scope, other, place), &steps),
        }
    }

    fn template<'t>(
        &mut self,
        scope: &Scope,
        elements: impl Iterator<Item = &'t Element>,
        place: &Place,
    ) -> Option<Node> {
        let mut parts = Vec::new();
        for element in elements {
            parts.push(match element {
                Element::Literal(literal) => value::text(place, literal.value().as_str()),
                Element::Interpolation(inner) => self.part(scope, &inner.expr, place),
                Element::Directive(_) => return None,
            });
        }
        // A template of nothing but one interpolation is its value, whatever its type.
        match parts.as_slice() {
            [only] if is_known(only) => Some(only.clone()),
            parts => Some(value::text(place, parts.iter().map(word).collect::<Option<String>>()?)),
        }
    }

    fn unary(&mut self, scope: &Scope, operation: &UnaryOp, place: &Place) -> Option<Node> {
        let operand = self.part(scope, &operation.expr, place);
        Some(match operation.operator.value() {
            UnaryOperator::Neg => {
                value::node(place, Value::Number(operand.integer()?.checked_neg()?.to_string()))
            }
            UnaryOperator::Not => value::node(place, Value::Bool(!operand.bool()?)),
        })
    }

    fn binary(&mut self, scope: &Scope, operation: &BinaryOp, place: &Place) -> Option<Node> {
        use BinaryOperator as Operator;
        let left = self.part(scope, &operation.lhs_expr, place);
        let right = self.part(scope, &operation.rhs_expr, place);
        let operator = *operation.operator.value();
        let truth = |value: bool| Some(value::node(place, Value::Bool(value)));
        match operator {
            Operator::Eq | Operator::NotEq => {
                (is_known(&left) && is_known(&right)).then_some(())?;
                return truth(same(&left, &right) == (operator == Operator::Eq));
            }
            Operator::And => return truth(left.bool()? && right.bool()?),
            Operator::Or => return truth(left.bool()? || right.bool()?),
            _ => {}
        }
        let (left, right) = (left.integer()?, right.integer()?);
        let number = match operator {
            Operator::LessEq => return truth(left <= right),
            Operator::GreaterEq => return truth(left >= right),
            Operator::Less => return truth(left < right),
            Operator::Greater => return truth(left > right),
            Operator::Plus => left.checked_add(right)?,
            Operator::Minus => left.checked_sub(right)?,
            Operator::Mul => left.checked_mul(right)?,
            Operator::Div if right != 0 && left.checked_rem(right) == Some(0) => left.checked_div(right)?,
            Operator::Mod => left.checked_rem(right)?,
            _ => return None,
        };
        Some(value::node(place, Value::Number(number.to_string())))
    }

    fn for_each(&mut self, scope: &Scope, each: &ForExpr, place: &Place) -> Option<Node> {
        let collection = self.part(scope, &each.intro.collection_expr, place);
        let (mut values, mut members) = (Vec::new(), Vec::<(String, Node)>::new());
        for (key, item) in entries(&collection)? {
            let mut inner = scope.clone();
            if let Some(name) = &each.intro.key_var {
                inner.bind(name.as_str(), key);
            }
            inner.bind(each.intro.value_var.as_str(), item);
            if let Some(condition) = &each.cond
                && !self.part(&inner, &condition.expr, place).bool()?
            {
                continue;
            }
            let value = self.part(&inner, &each.value_expr, place);
            let Some(key) = &each.key_expr else {
                values.push(value);
                continue;
            };
            let key = word(&self.part(&inner, key, place))?;
            match members.iter_mut().find(|(name, _)| each.grouping && *name == key) {
                Some((_, Node { value: Value::List(group), .. })) => group.push(value),
                _ if each.grouping => members.push((key, value::list(place, vec![value]))),
                _ => members.push((key, value)),
            }
        }
        Some(match each.key_expr {
            Some(_) => value::node(place, Value::Map(members)),
            None => value::list(place, values),
        })
    }
}

/// One step into a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// `.name`, `["name"]`, `[0]`.
    Member(String),
    /// `[*]`, `.*`.
    Every,
}

/// Follows steps into a value.
pub fn walk(node: &Node, steps: &[Step]) -> Option<Node> {
    let Some((step, rest)) = steps.split_first() else { return Some(node.clone()) };
    match step {
        Step::Member(name) => match &node.value {
            Value::List(nodes) => walk(nodes.get(name.parse::<usize>().ok()?)?, rest),
            _ => walk(node.get(name)?, rest),
        },
        Step::Every => match &node.value {
            Value::List(nodes) => {
                let found = nodes.iter().map(|each| walk(each, rest)).collect::<Option<_>>()?;
                Some(value::list(&node.place, found))
            }
            Value::Null => Some(value::list(&node.place, Vec::new())),
            Value::Expression(_) => None,
            _ => Some(value::list(&node.place, vec![walk(node, rest)?])),
        },
    }
}

fn same(left: &Node, right: &Node) -> bool {
    match (&left.value, &right.value) {
        (Value::List(left), Value::List(right)) => {
            left.len() == right.len() && left.iter().zip(right).all(|(left, right)| same(left, right))
        }
        (Value::Map(left), Value::Map(_)) => {
            left.len() == right.members().len()
                && left.iter().all(|(key, value)| right.get(key).is_some_and(|other| same(value, other)))
        }
        (Value::Text(left), Value::Text(right)) => left == right,
        (Value::Text(_) | Value::Number(_) | Value::Bool(_), _) => word(left) == word(right),
        (left, right) => left == right,
    }
}
