//! Enums whose values have names: each value stands once, with the text by which flags, records and summaries know it.

/// Defines an enum with `ALL`, `name()`, `Display`, `FromStr` and a serde form that is the name.
#[macro_export]
macro_rules! named_enum {
    (
        $(#[$meta:meta])*
        $vis:vis enum $type:ident: $what:literal { $($(#[$doc:meta])* $value:ident = $name:literal,)+ }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[derive(serde::Serialize, serde::Deserialize)]
        #[serde(into = "String", try_from = "String")]
        $vis enum $type { $($(#[$doc])* $value,)+ }

        impl $type {
            /// All values, in order.
            $vis const ALL: [Self; [$($name),+].len()] = [$(Self::$value),+];

            /// Returns the name.
            #[must_use]
            $vis fn name(self) -> &'static str {
                match self { $(Self::$value => $name),+ }
            }
        }

        impl std::fmt::Display for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.name())
            }
        }

        impl std::str::FromStr for $type {
            type Err = String;

            fn from_str(text: &str) -> Result<Self, String> {
                let found = Self::ALL.into_iter().find(|value| value.name() == text);
                found.ok_or_else(|| {
                    format!("unknown {} '{text}': use {}", $what, $crate::text::either(&Self::ALL.map(Self::name)))
                })
            }
        }

        $crate::as_text!($type);
    };
}
