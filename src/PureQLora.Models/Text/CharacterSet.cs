using System.Text;
using System.Text.RegularExpressions;

namespace PureQLora.Models;

/// <summary>A set of characters below U+10000, surrogates excepted; one bit each. Immutable.</summary>
internal sealed class CharacterSet
{
    private static readonly string All = string.Create(0x10000, 0, static (characters, _) =>
    {
        for (int value = 0; value < characters.Length; value++)
        {
            characters[value] = (char)value;
        }
    });

    private readonly ulong[] _bits = new ulong[0x10000 / 64];

    private CharacterSet()
    {
    }

    /// <summary>What a regular expression for one character matches; the expression says it, so the set cannot mean anything else.</summary>
    /// <param name="expression">.NET syntax, such as <c>\p{L}</c> or <c>[^\s\p{L}]</c>.</param>
    /// <exception cref="ArgumentException">It is not valid.</exception>
    public static CharacterSet Matching(string expression)
    {
        CharacterSet set = new();
        foreach (ValueMatch run in Regex.EnumerateMatches(All, $"(?:{expression})+", RegexOptions.CultureInvariant))
        {
            for (int value = run.Index; value < run.Index + run.Length; value++)
            {
                set.Add((char)value);
            }
        }

        return set;
    }

    /// <summary>Characters that a condition holds for.</summary>
    public static CharacterSet Where(Func<Rune, bool> condition)
    {
        CharacterSet set = new();
        for (int value = 0; value < 0x10000; value++)
        {
            if (Rune.IsValid(value) && condition(new Rune(value)))
            {
                set.Add((char)value);
            }
        }

        return set;
    }

    /// <summary>Whether the set holds a character.</summary>
    public bool Contains(char character) => (_bits[character >> 6] >> (character & 63) & 1) != 0;

    /// <summary>Whether the two have a character in common.</summary>
    public bool Overlaps(CharacterSet other) => _bits.Zip(other._bits).Any(pair => (pair.First & pair.Second) != 0);

    private void Add(char character)
    {
        if (!char.IsSurrogate(character))
        {
            _bits[character >> 6] |= 1UL << (character & 63);
        }
    }
}
