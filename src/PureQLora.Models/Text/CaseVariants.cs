namespace PureQLora.Models;

/// <summary>Characters that differ only in case, by simple case mapping.</summary>
internal static class CaseVariants
{
    private static readonly Dictionary<char, string> Variants = Make();

    /// <summary>All characters that equal this one but for case, itself included.</summary>
    public static string Of(char character) => Variants.TryGetValue(character, out string? variants) ? variants : character.ToString();

    private static Dictionary<char, string> Make()
    {
        Dictionary<char, List<char>> groups = [];
        for (int value = 0; value <= 0xFFFF; value++)
        {
            char character = (char)value;

            // .NET keeps the long s apart from s, whose capital it shares; Unicode case folding does not.
            char folded = character == 'ſ' ? 's' : char.ToLowerInvariant(char.ToUpperInvariant(character));
            if (!groups.TryGetValue(folded, out List<char>? group))
            {
                groups.Add(folded, group = []);
            }

            group.Add(character);
        }

        return groups.Values.Where(group => group.Count > 1)
            .SelectMany(group => group.Select(character => KeyValuePair.Create(character, new string([.. group]))))
            .ToDictionary();
    }
}
