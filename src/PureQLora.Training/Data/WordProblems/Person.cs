namespace PureQLora.Training;

/// <summary>Somebody in a story, with pronouns.</summary>
/// <param name="Name">First name.</param>
/// <param name="Female">Whether she is a she.</param>
internal sealed record Person(string Name, bool Female)
{
    public string She => Female ? "she" : "he";

    public string CapitalShe => Female ? "She" : "He";

    public string Her => Female ? "her" : "him";

    public string HerOwn => Female ? "her" : "his";

    public override string ToString() => Name;
}
