using System.Globalization;
using System.Numerics;
using System.Text;

namespace PureQLora.Training;

/// <summary>
/// The rule of MetaMath's eval_gsm8k.py: the first match of <c>[\-+]?\d*[\.,/]?\d+</c> behind the last <c>The answer is: </c>,
/// read as Python reads numbers and rounded half to even.
/// </summary>
/// <remarks>Python's <c>\d</c>, <c>float</c>, <c>int</c> and <c>Fraction</c> take the decimal digits of every script, also those outside the basic plane, hence no regular expression here.</remarks>
internal static class MetaMathRule
{
    private const string Separator = "The answer is: ";
    private const int LongestPythonInteger = 4300;

    public static Verdict Score(string reference, string generated)
    {
        string? extracted = Extract(generated);
        if (ReadReference(reference) is not { } gold)
        {
            return new(extracted, null);
        }

        bool correct = extracted is not null && extracted != Unreadable
            && double.Parse(extracted, CultureInfo.InvariantCulture) == double.Parse(gold.ToString(CultureInfo.InvariantCulture), CultureInfo.InvariantCulture);
        return new(extracted, correct);
    }

    /// <summary>Marks a text on which the original script stops with an exception (a fraction over a zero that is not spelt 0).</summary>
    private const string Unreadable = "error";

    private static string? Extract(string text)
    {
        int at = text.LastIndexOf(Separator, StringComparison.Ordinal);
        if (at < 0 || FindNumber(text.AsSpan(at + Separator.Length)) is not { } number)
        {
            return null;
        }

        int slash = number.Text.IndexOf('/', StringComparison.Ordinal);
        if (slash < 0)
        {
            double value = double.Parse(number.Text.Replace(",", "", StringComparison.Ordinal), NumberStyles.Float, CultureInfo.InvariantCulture);
            return double.IsInfinity(value) ? null : Rounded(value);
        }

        if (!char.IsAsciiDigit(number.Text[slash - (slash > 0 ? 1 : 0)]))
        {
            return null;                                 // Python: float("") or float("+") is no number
        }

        BigInteger numerator = BigInteger.Parse(number.Text.AsSpan(0, slash), NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture);
        BigInteger denominator = BigInteger.Parse(number.Text.AsSpan(slash + 1), NumberStyles.None, CultureInfo.InvariantCulture);
        if (number.DenominatorIsZero)
        {
            return Rounded(double.Parse(numerator.ToString(CultureInfo.InvariantCulture), CultureInfo.InvariantCulture));
        }

        return denominator.IsZero ? Unreadable : Rounded(Quotient(numerator, denominator));
    }

    private static string Rounded(double value) => double.IsInfinity(value)
        ? Unreadable
        : new BigInteger(Math.Round(value, MidpointRounding.ToEven)).ToString(CultureInfo.InvariantCulture);

    /// <summary>numerator / denominator, rounded once to the nearest double: 64 quotient bits and a sticky last one.</summary>
    private static double Quotient(BigInteger numerator, BigInteger denominator)
    {
        int shift = 65 - (int)(BigInteger.Abs(numerator).GetBitLength() - denominator.GetBitLength());
        BigInteger scaled = shift >= 0 ? BigInteger.Abs(numerator) << shift : BigInteger.Abs(numerator);
        BigInteger divisor = shift >= 0 ? denominator : denominator << -shift;
        BigInteger quotient = BigInteger.DivRem(scaled, divisor, out BigInteger remainder);   // 65 or 66 bits
        ulong bits = (ulong)(quotient >> 2);
        bits |= remainder.IsZero && (quotient & 3).IsZero ? 0UL : 1UL;
        double magnitude = Math.ScaleB(bits, 2 - shift);
        return numerator.Sign < 0 ? -magnitude : magnitude;
    }

    /// <summary>Leftmost match of the pattern with its digits turned into ASCII, or null.</summary>
    private static (string Text, bool DenominatorIsZero)? FindNumber(ReadOnlySpan<char> text)
    {
        for (int start = 0; start < text.Length; start++)
        {
            StringBuilder match = new();
            int next = start;
            if (text[next] is '-' or '+')
            {
                match.Append(text[next++]);
            }

            int sign = match.Length;
            next = AppendDigits(text, next, match);
            bool hasDigits = match.Length > sign;
            if (next < text.Length && text[next] is '.' or ',' or '/' && DigitAt(text, next + 1, out _) >= 0)
            {
                match.Append(text[next]);
                int end = AppendDigits(text, next + 1, match);
                return (match.ToString(), text[next] == '/' && text[(next + 1)..end] is "0");
            }

            if (hasDigits)
            {
                return (match.ToString(), false);
            }
        }

        return null;
    }

    private static int AppendDigits(ReadOnlySpan<char> text, int index, StringBuilder digits)
    {
        for (int value; (value = DigitAt(text, index, out int width)) >= 0; index += width)
        {
            digits.Append((char)('0' + value));
        }

        return index;
    }

    /// <summary>Value of the decimal digit (Unicode category Nd) at an index, or −1.</summary>
    private static int DigitAt(ReadOnlySpan<char> text, int index, out int width)
    {
        width = 0;
        return index < text.Length && Rune.DecodeFromUtf16(text[index..], out Rune rune, out width) == System.Buffers.OperationStatus.Done
            && Rune.GetUnicodeCategory(rune) == UnicodeCategory.DecimalDigitNumber
            ? (int)Rune.GetNumericValue(rune)
            : -1;
    }

    /// <summary>Python's <c>int(answer.split("#### ")[1].replace(",", ""))</c>, or null where that fails.</summary>
    private static BigInteger? ReadReference(string answer)
    {
        string[] parts = answer.Split("#### ");
        if (parts.Length < 2)
        {
            return null;
        }

        ReadOnlySpan<char> text = parts[1].Replace(",", "", StringComparison.Ordinal).AsSpan().Trim();
        StringBuilder digits = new();
        int next = 0;
        if (text.Length > 0 && text[0] is '-' or '+')
        {
            digits.Append(text[next++]);
        }

        int sign = digits.Length;
        while (next < text.Length)
        {
            // One underscore between two digits is allowed, as in 1_000.
            int skip = text[next] == '_' && digits.Length > sign ? 1 : 0;
            int value = DigitAt(text, next + skip, out int width);
            if (value < 0)
            {
                return null;
            }

            digits.Append((char)('0' + value));
            next += skip + width;
        }

        return digits.Length == sign || digits.Length - sign > LongestPythonInteger
            ? null
            : BigInteger.Parse(digits.ToString(), NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture);
    }
}
