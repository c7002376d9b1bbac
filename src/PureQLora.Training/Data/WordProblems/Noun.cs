namespace PureQLora.Training;

/// <summary>A countable thing.</summary>
/// <param name="One">Singular.</param>
/// <param name="Many">Plural.</param>
internal sealed record Noun(string One, string Many)
{
    /// <summary>The form that follows a number.</summary>
    public string For(int count) => count == 1 ? One : Many;

    /// <summary>Number and noun.</summary>
    public string Count(int count) => $"{count} {For(count)}";

    public override string ToString() => Many;
}
