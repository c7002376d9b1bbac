namespace PureQLora.Models;

/// <summary>
/// One entry of GPTQModel's <c>dynamic</c> settings: what differs for the modules whose names begin with a match of a regular expression.
/// The first entry that matches a module counts.
/// </summary>
/// <param name="Pattern">The key without its sign.</param>
/// <param name="Excluded"><c>-:</c>, not quantised at all; else <c>+:</c> or no sign.</param>
public sealed record GptqOverride(string Pattern, bool Excluded)
{
    /// <summary>Bits of these modules, or null for the checkpoint's.</summary>
    public int? Bits { get; init; }

    /// <summary>Inputs that share a scale, −1 for one group a row, or null for the checkpoint's.</summary>
    public int? GroupSize { get; init; }

    /// <summary>Whether groups are scattered, or null for the checkpoint's word.</summary>
    public bool? DescendingActivations { get; init; }

    /// <summary>Whether the entry is about a module.</summary>
    public bool Matches(string module) => ModulePattern.Start(Pattern).IsMatch(module);
}
