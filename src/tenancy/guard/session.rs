//! The configuration of a session, as `session.create`, `session.resume` and `sessions.open` carry it.

use super::{Denied, Rules, fields::Fields, mcp, tree::Tree};

const REFUSED: (&str, &str) = ("param_refused", "leave this out: it reaches beyond the session");
const NOT_KNOWN: (&str, &str) = ("param_unknown", "this key is not known to be harmless; the operator may allow it");
const NOT_A_LIST: (&str, &str) = ("not_a_list", "send a list here");
const KIND: (&str, &str) = ("open_kind", "use create, or resume and attach with a whole id");

/// What may stand at a key.
#[derive(Clone, Copy)]
enum Value {
    /// One host path.
    Path,
    /// Host paths.
    Paths,
    /// `null` or `false` alone.
    Off,
    /// One word alone, or `null` or `false`.
    Word(&'static str),
    /// An empty list.
    Empty,
    /// An object with `baseUrl`.
    Provider,
    /// A list of these.
    Providers,
    /// MCP servers by name.
    Servers,
    /// One agent or a list of agents.
    Agents,
    /// `outputDir` is a host path.
    LargeOutput,
    /// `cwd` and `gitRoot` are host paths.
    Context,
    /// A token of the tenant's own.
    Credentials,
}

/// The keys under guard. Those that no SDK sends are of `sessions.open`; the runtime honours some of them in
/// `session.create` too (`eventsLogDirectory` and `trajectoryFile` were seen to write where told).
const GUARDED: &[(&str, Value)] = &[
    ("additionalDirectories", Value::Paths),
    ("authInfo", Value::Credentials),
    ("canvasProvider", Value::Off),
    ("cloud", Value::Off),
    ("configDir", Value::Path),
    // The tenant's token, or the host's own, would go there.
    ("copilotUrl", Value::Off),
    ("customAgents", Value::Agents),
    ("defaultAgent", Value::Agents),
    ("envValueMode", Value::Word("direct")),
    ("eventsLogDirectory", Value::Path),
    ("extensionSdkPath", Value::Path),
    ("installedPlugins", Value::Empty),
    ("instructionDirectories", Value::Paths),
    ("largeOutput", Value::LargeOutput),
    ("managedMcpServers", Value::Servers),
    // `persistent` shares OAuth tokens with every session of the host.
    ("mcpOAuthTokenStorage", Value::Word("in-memory")),
    ("mcpServers", Value::Servers),
    ("pluginDirectories", Value::Paths),
    ("provider", Value::Provider),
    ("providers", Value::Providers),
    ("remoteDefaultedOn", Value::Off),
    ("remoteExporting", Value::Off),
    ("remoteSession", Value::Word("off")),
    ("remoteSteerable", Value::Off),
    // The answer would carry variables of the host (`grantedEnvironmentVariables`).
    ("requestedEnvironmentVariables", Value::Empty),
    ("requestExtensions", Value::Off),
    ("sandboxConfig", Value::Off),
    ("sandboxConfigSource", Value::Off),
    // Scripts, process flags and the host's git credentials for every shell.
    ("shell", Value::Off),
    ("shellInitProfile", Value::Off),
    ("shellProcessFlags", Value::Empty),
    ("skillDirectories", Value::Paths),
    ("trajectoryFile", Value::Path),
    ("workingDirectory", Value::Path),
    ("workingDirectoryContext", Value::Context),
];

/// Texts, lists and objects that stay inside the session: what the SDK 1.0.14 sends, and the harmless rest of the schema.
const HARMLESS: &[&str] = &[
    "additionalContentExclusionPolicies",
    "agent",
    "agentContext",
    "askUserVariant",
    "authClientIdMetadataUrl",
    "availableTools",
    "canvases",
    "capi",
    "clientKind",
    "clientName",
    "commands",
    "contextTier",
    "detachedFromSpawningParentEngagementId",
    "detachedFromSpawningParentSessionId",
    "disabledInstructionSources",
    "disabledMcpServers",
    "disabledSkills",
    "embeddingCacheStorage",
    "excludedBuiltinAgents",
    "excludedTools",
    "expAssignments",
    "extensionInfo",
    "factories",
    "featureFlags",
    "gitHubToken",
    "gitHubTokenProviderRegistrationId",
    "githubMcpToolConfig",
    "includedBuiltinAgents",
    "includedBuiltinSkills",
    "infiniteSessions",
    "integrationId",
    "lspClientName",
    "managedSettings",
    "memory",
    "model",
    "modelCapabilities",
    "modelCapabilitiesOverrides",
    "models",
    "name",
    "openCanvases",
    "organizationCustomInstructions",
    "reasoningEffort",
    "reasoningSummary",
    "sessionCapabilities",
    "sessionId",
    "sessionLimits",
    "systemMessage",
    "toolFilterPrecedence",
    "toolSearch",
    "tools",
    "traceparent",
    "tracestate",
    "verbosity",
];

/// The params of `session.create` and `session.resume`.
pub fn check(params: &Tree<'_>, rules: &Rules) -> Result<(), Denied> {
    configuration(params, "params", &[], rules)
}

/// The params of `sessions.open`. The kinds without an id of the caller's own take anybody's session.
pub fn check_open(params: &Tree<'_>, rules: &Rules) -> Result<(), Denied> {
    const OPEN: &[&str] = &["kind", "sessionId", "options", "context"];
    let open = Fields::of(params, "params", &["kind", "sessionId", "options"])?;
    match open.get("kind").and_then(Tree::text) {
        Some("create" | "resume" | "attach") => {}
        _ => return Err(open.deny("kind", KIND)),
    }
    if let Some(options) = open.get("options") {
        configuration(options, "params.options", &[], rules)?;
    }
    configuration(params, "params", OPEN, rules)
}

/// The address in a provider.
pub fn provider(tree: &Tree<'_>, path: &str, rules: &Rules) -> Result<(), Denied> {
    let provider = Fields::of(tree, path, &["baseUrl", "provider", "headers"])?;
    provider.get("baseUrl").map_or(Ok(()), |url| rules.provider_urls.one(&provider.path("baseUrl"), url))
}

/// A list of providers.
pub fn providers(tree: &Tree<'_>, path: &str, rules: &Rules) -> Result<(), Denied> {
    let Tree::Array(items) = tree else { return Err(Denied::at(path, NOT_A_LIST)) };
    items.iter().try_for_each(|item| provider(item, &format!("{path}[]"), rules))
}

/// Host paths in a context.
pub fn context(tree: &Tree<'_>, path: &str, rules: &Rules) -> Result<(), Denied> {
    paths_in(tree, path, &["cwd", "gitRoot"], rules)
}

/// Credentials that are the tenant's own: a token for GitHub itself. Every other kind takes one of the host's, and
/// `copilotUser` could name endpoints that get it.
pub fn credentials(tree: &Tree<'_>, path: &str, rules: &Rules) -> Result<(), Denied> {
    let fields = Fields::of(tree, path, &["type", "host", "copilotUser", "envVar", "token"])?;
    if !matches!(fields.get("type").and_then(Tree::text), Some("token" | "token-provider")) {
        return Err(fields.deny("type", REFUSED));
    }
    if fields.get("copilotUser").is_some() {
        return Err(fields.deny("copilotUser", REFUSED));
    }
    match fields.get("host") {
        Some(host) if host.text() != Some("https://github.com") => rules.provider_urls.one(&fields.path("host"), host),
        _ => Ok(()),
    }
}

fn configuration(tree: &Tree<'_>, path: &str, more: &[&str], rules: &Rules) -> Result<(), Denied> {
    let names: Vec<&str> = GUARDED.iter().map(|(name, _)| *name).chain(["sessionId"]).collect();
    let fields = Fields::of(tree, path, &names)?;
    for (key, value) in fields.iter() {
        match GUARDED.iter().find(|(name, _)| *name == key) {
            Some((_, kind)) => kind.check(value, &fields, key, rules)?,
            None if !mcp::matters(value) || HARMLESS.contains(&key) || more.contains(&key) => {}
            None if rules.params.iter().any(|param| param == key) => {}
            None => return Err(fields.deny(key, NOT_KNOWN)),
        }
    }
    Ok(())
}

impl Value {
    fn check(self, value: &Tree<'_>, fields: &Fields<'_, '_>, key: &str, rules: &Rules) -> Result<(), Denied> {
        if matches!(value, Tree::Null) {
            return Ok(());
        }
        let path = fields.path(key);
        let fine = match self {
            Self::Path => return rules.roots.one(&path, value),
            Self::Paths => return rules.roots.many(&path, value),
            Self::Provider => return provider(value, &path, rules),
            Self::Providers => return providers(value, &path, rules),
            Self::Servers => return mcp::servers(value, &path, rules),
            Self::Agents => return mcp::agents(value, &path, rules),
            Self::LargeOutput => return paths_in(value, &path, &["outputDir", "outputDirectory"], rules),
            Self::Context => return context(value, &path, rules),
            Self::Credentials => return credentials(value, &path, rules),
            Self::Off => value.is_off(),
            Self::Word(word) => value.is_off() || value.text() == Some(word),
            Self::Empty => value.is_off() || matches!(value, Tree::Array(items) if items.is_empty()),
        };
        if fine { Ok(()) } else { Err(fields.deny(key, REFUSED)) }
    }
}

fn paths_in(tree: &Tree<'_>, path: &str, keys: &[&str], rules: &Rules) -> Result<(), Denied> {
    let fields = Fields::of(tree, path, keys)?;
    for key in keys {
        if let Some(value) = fields.get(key) {
            rules.roots.one(&fields.path(key), value)?;
        }
    }
    Ok(())
}
