using System.Globalization;
using System.Text;

namespace PureQLora.Models;

/// <summary>Classes of code points as the Rust and Oniguruma libraries behind <c>tokenizer.json</c> define them.</summary>
internal static class CharacterClasses
{
    /// <summary>The word class <c>\w</c>, as the inside of a .NET character class: Alphabetic, marks, decimal digits, connectors.</summary>
    public const string WordPattern = @"\p{L}\p{M}\p{Nd}\p{Nl}\p{Pc}\u24B6-\u24E9\u200C\u200D";

    /// <summary>General category N: decimal digits, letter numbers and other numbers.</summary>
    public static bool IsNumeric(Rune rune) => Rune.IsNumber(rune);

    /// <summary>A mark of any kind (general category M).</summary>
    public static bool IsMark(Rune rune) =>
        Rune.GetUnicodeCategory(rune) is UnicodeCategory.NonSpacingMark or UnicodeCategory.SpacingCombiningMark or UnicodeCategory.EnclosingMark;

    /// <summary>Punctuation: general category P and the ASCII symbols.</summary>
    public static bool IsPunctuation(Rune rune) => Rune.IsPunctuation(rune) || (rune.IsAscii && Rune.IsSymbol(rune));

    /// <summary>The word class <c>\w</c>.</summary>
    public static bool IsWord(Rune rune) => Rune.IsLetter(rune) || IsMark(rune) || rune.Value is 0x200C or 0x200D or (>= 0x24B6 and <= 0x24E9)
        || Rune.GetUnicodeCategory(rune) is UnicodeCategory.DecimalDigitNumber or UnicodeCategory.LetterNumber or UnicodeCategory.ConnectorPunctuation;
}
