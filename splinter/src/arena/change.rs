//! What a transaction expects of a key, and does with it.

use super::integer::IntegerOp;
use super::version::{Expect, Lifetime};

/// What a transaction does with the value of a key.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) enum Content<'d> {
    #[default]
    Keep,
    Bytes(&'d [u8]),
    Number(u64),
    /// Applies the operation to the number, or to this one if the key is missing.
    Integer(IntegerOp, Option<u64>),
    Remove,
}

/// What a [`Transaction`](crate::Transaction) expects of a key and does with it. Without more, it only checks.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct KeyChange<'d> {
    pub(crate) expect: Expect,
    pub(crate) content: Content<'d>,
    pub(crate) vector: Option<&'d [f32]>,
    /// Labels to add, and labels to take away.
    pub(crate) labels: [u64; 2],
    /// If not given: for ever if the value is set, else as before.
    pub(crate) lifetime: Option<Lifetime>,
}

impl KeyChange<'_> {
    /// Whether the change inserts the key if it is missing. A key that is to be removed, or expected to be missing, is
    /// inserted and removed: so it stays missing until the commit.
    pub(crate) fn inserts(&self) -> bool {
        let is_removal = matches!(self.content, Content::Remove);
        mutant!("removal-unclaimed", let is_removal = false);
        match self.content {
            Content::Remove => is_removal && self.expect.allows_absent(),
            Content::Bytes(_) | Content::Number(_) | Content::Integer(_, Some(_)) => {
                self.expect.allows_absent()
            }
            Content::Keep | Content::Integer(_, None) if !self.is_check() => false,
            _ => matches!(self.expect, Expect::Absent),
        }
    }

    /// Whether nothing is wrong if the key is missing and stays so.
    pub(crate) const fn allows_missing(&self) -> bool {
        let is_removal = matches!(self.content, Content::Remove);
        (is_removal || self.is_check()) && self.expect.allows_absent()
    }

    /// Whether it removes the key, if that is there.
    pub(crate) const fn is_removal_of_any(&self) -> bool {
        matches!((self.content, self.expect), (Content::Remove, Expect::Any))
    }

    /// Whether it changes the value or the vector.
    pub(crate) const fn is_of_content(&self) -> bool {
        !matches!(self.content, Content::Keep) || self.vector.is_some()
    }

    /// Whether it changes neither vector nor labels, and the key stays until it is removed if its value is set.
    #[inline(always)]
    pub(crate) const fn is_of_value_alone(&self) -> bool {
        self.vector.is_none() && self.labels[0] | self.labels[1] == 0 && self.lifetime.is_none()
    }

    /// Whether it changes nothing.
    pub(crate) const fn is_check(&self) -> bool {
        matches!(self.content, Content::Keep) && self.is_of_value_alone()
    }

    pub(crate) fn lifetime_asked(&self) -> Lifetime {
        let is_set = matches!(self.content, Content::Bytes(_) | Content::Number(_));
        self.lifetime.unwrap_or(if is_set { Lifetime::Endless } else { Lifetime::Unchanged })
    }
}
