using System.Globalization;
using System.Text;

namespace PureQLora.Models;

/// <summary>
/// For every code point above U+FFFF a character below it that a pattern treats alike: one of the same general category that the
/// pattern does not mention. .NET matches UTF-16 units, to which such a code point would be two surrogates and no letter.
/// </summary>
internal sealed class StandIns
{
    private readonly char[] _byCategory = new char[(int)UnicodeCategory.OtherNotAssigned + 1];

    /// <summary>Finds them for a pattern that has been translated.</summary>
    /// <exception cref="Core.UserErrorException">The pattern mentions every character of a category.</exception>
    public StandIns(RegexTranslator translator, JsonPart source)
    {
        for (int value = 0x80; value <= 0xFFFF; value++)
        {
            ref char standIn = ref _byCategory[(int)CharUnicodeInfo.GetUnicodeCategory((char)value)];
            if (standIn == 0 && !translator.Mentions((char)value) && value is not (>= 0x24B6 and <= 0x24E9 or 0x200C or 0x200D))
            {
                standIn = (char)value;
            }
        }

        // Every category has members above U+FFFF, save spaces, controls and surrogates.
        for (UnicodeCategory category = 0; category <= UnicodeCategory.OtherNotAssigned; category++)
        {
            bool onlyBelow = category is UnicodeCategory.SpaceSeparator or UnicodeCategory.LineSeparator
                or UnicodeCategory.ParagraphSeparator or UnicodeCategory.Control or UnicodeCategory.Surrogate;
            if (_byCategory[(int)category] == 0 && !onlyBelow)
            {
                throw source.Error($"mentions every character of category {category}, which is not supported; use \\p{{…}} classes instead of ranges");
            }
        }
    }

    /// <summary>The stand-in of a code point; one below U+10000 stands for itself.</summary>
    public char Of(Rune rune) => rune.IsBmp ? (char)rune.Value : _byCategory[(int)Rune.GetUnicodeCategory(rune)];
}
