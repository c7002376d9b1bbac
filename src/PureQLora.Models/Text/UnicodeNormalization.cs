using System.Globalization;
using System.Runtime.InteropServices;
using System.Text;

namespace PureQLora.Models;

/// <summary>Unicode normalization forms C, D, KC and KD.</summary>
/// <remarks>
/// Unicode Standard Annex #15, and for Hangul section 3.12 of the standard. <see cref="string.Normalize()"/> needs the ICU library, and
/// does nothing where globalization is invariant, as it is here. Tables: <c>UnicodeNormalization.txt</c>, an embedded resource.
/// </remarks>
internal static class UnicodeNormalization
{
    private const int SyllableBase = 0xAC00;
    private const int LeadBase = 0x1100;
    private const int VowelBase = 0x1161;
    private const int TailBase = 0x11A7;
    private const int Leads = 19;
    private const int Vowels = 21;
    private const int Tails = 28;
    private const int Syllables = Leads * Vowels * Tails;

    private static readonly Lazy<Tables> Data = new(ReadTables);
    private static readonly Lazy<UnstableCodePoints>[] Unstable =      // by form
        [.. Enumerable.Range(0, (int)NormalizationForm.FormKD + 1).Select(form => new Lazy<UnstableCodePoints>(() => FindUnstable((NormalizationForm)form)))];

    /// <summary>Brings a text without lone surrogates into a normalization form.</summary>
    public static string Normalize(string text, NormalizationForm form)
    {
        // Below this no code point changes: the first compatibility mapping, decomposition and combining mark.
        char firstToChange = IsCompatibility(form) ? '\u00A0' : IsComposed(form) ? '\u0300' : '\u00C0';
        if (text.AsSpan().IndexOfAnyInRange(firstToChange, '\uFFFF') < 0)
        {
            return text;
        }

        UnstableCodePoints unstable = Unstable[(int)form].Value;
        int from = unstable.Find(text, 0);
        if (from == text.Length)
        {
            return text;
        }

        StringBuilder result = new(text.Length);
        int done = 0;
        for (; from < text.Length; from = unstable.Find(text, done))
        {
            // What cannot change begins a new piece, and the last of it may combine with what follows.
            int start = from == done ? from : from - (char.IsLowSurrogate(text[from - 1]) ? 2 : 1);
            int end = unstable.SkipFrom(text, from);
            result.Append(text, done, start - done).Append(NormalizePiece(text.AsSpan(start, end - start), form));
            done = end;
        }

        return result.Append(text, done, text.Length - done).ToString();
    }

    /// <summary>The same without looking for what need not change: every code point is taken apart, ordered and put together.</summary>
    internal static string NormalizePiece(ReadOnlySpan<char> text, NormalizationForm form)
    {
        List<int> codePoints = new(text.Length);
        foreach (Rune rune in text.EnumerateRunes())
        {
            Decompose(rune.Value, IsCompatibility(form), codePoints);
        }

        Span<int> ordered = CollectionsMarshal.AsSpan(codePoints);
        Reorder(ordered);
        int count = IsComposed(form) ? Compose(ordered) : ordered.Length;
        StringBuilder result = new(text.Length);
        foreach (int codePoint in ordered[..count])
        {
            result.Append(new Rune(codePoint).ToString());
        }

        return result.ToString();
    }

    private static bool IsComposed(NormalizationForm form) => form is NormalizationForm.FormC or NormalizationForm.FormKC;

    private static bool IsCompatibility(NormalizationForm form) => form is NormalizationForm.FormKC or NormalizationForm.FormKD;

    /// <summary>Code points that change alone, or that what stands before them can change or move; all others begin a piece of their own.</summary>
    private static UnstableCodePoints FindUnstable(NormalizationForm form)
    {
        Tables tables = Data.Value;
        HashSet<int> seconds = IsComposed(form)
            ? [.. tables.Compositions.Keys.Select(pair => pair.Second), .. Enumerable.Range(VowelBase, Vowels), .. Enumerable.Range(TailBase + 1, Tails - 1)]
            : [];
        IEnumerable<int> candidates = tables.Canonical.Keys.Concat(tables.Compatibility.Keys).Concat(tables.Classes.Keys).Concat(seconds)
            .Concat(Enumerable.Range(SyllableBase, Syllables)).Distinct();
        return new UnstableCodePoints(candidates.Where(codePoint =>
        {
            List<int> parts = [];
            Decompose(codePoint, IsCompatibility(form), parts);
            string alone = new Rune(codePoint).ToString();
            return tables.Class(parts[0]) != 0 || seconds.Contains(parts[0]) || NormalizePiece(alone, form) != alone;
        }));
    }

    private static void Decompose(int codePoint, bool compatibility, List<int> result)
    {
        int syllable = codePoint - SyllableBase;
        if (syllable is >= 0 and < Syllables)
        {
            result.Add(LeadBase + (syllable / (Vowels * Tails)));
            result.Add(VowelBase + (syllable % (Vowels * Tails) / Tails));
            if (syllable % Tails != 0)
            {
                result.Add(TailBase + (syllable % Tails));
            }
        }
        else if (Data.Value.Canonical.TryGetValue(codePoint, out int[]? parts) || (compatibility && Data.Value.Compatibility.TryGetValue(codePoint, out parts)))
        {
            foreach (int part in parts)
            {
                Decompose(part, compatibility, result);
            }
        }
        else
        {
            result.Add(codePoint);
        }
    }

    private static void Reorder(Span<int> codePoints)
    {
        // Each run of combining marks is sorted by class, keeping the order of equals.
        for (int start = 0; start < codePoints.Length; start++)
        {
            int end = start;
            while (end < codePoints.Length && Data.Value.Class(codePoints[end]) != 0)
            {
                end++;
            }

            if (end - start > 1)
            {
                int[] sorted = [.. codePoints[start..end].ToArray().OrderBy(Data.Value.Class)];
                sorted.CopyTo(codePoints[start..]);
            }

            start = end;
        }
    }

    private static int Compose(Span<int> codePoints)
    {
        int count = 0;
        int starter = -1;
        int lastClass = 0;      // of what stands between the starter and here; equal or higher blocks
        foreach (int codePoint in codePoints)
        {
            int combiningClass = Data.Value.Class(codePoint);
            bool adjacent = starter == count - 1;
            if (starter >= 0 && (adjacent || lastClass < combiningClass) && TryCompose(codePoints[starter], codePoint, out int composed))
            {
                codePoints[starter] = composed;
                continue;
            }

            if (combiningClass == 0)
            {
                starter = count;
            }

            lastClass = combiningClass;
            codePoints[count++] = codePoint;
        }

        return count;
    }

    private static bool TryCompose(int first, int second, out int composed)
    {
        if (first - LeadBase is >= 0 and < Leads && second - VowelBase is >= 0 and < Vowels)
        {
            composed = SyllableBase + ((((first - LeadBase) * Vowels) + second - VowelBase) * Tails);
            return true;
        }

        if (first - SyllableBase is >= 0 and < Syllables && (first - SyllableBase) % Tails == 0 && second - TailBase is > 0 and < Tails)
        {
            composed = first + second - TailBase;
            return true;
        }

        return Data.Value.Compositions.TryGetValue((first, second), out composed);
    }

    private static Tables ReadTables()
    {
        using Stream stream = typeof(UnicodeNormalization).Assembly.GetManifestResourceStream("UnicodeNormalization.txt")
            ?? throw new InvalidOperationException("The resource UnicodeNormalization.txt is not in the assembly; build it again.");
        using StreamReader reader = new(stream);
        Tables tables = new();
        for (string? line = reader.ReadLine(); line is not null; line = reader.ReadLine())
        {
            int mark = line.AsSpan().IndexOfAny("=:~/");
            if (line[0] == '#')
            {
                continue;
            }

            if (line[mark] == '/')
            {
                (int first, int last) = (Hexadecimal(line[..line.IndexOf('.')]), Hexadecimal(line[(line.LastIndexOf('.') + 1)..mark]));
                for (int codePoint = first; codePoint <= last; codePoint++)
                {
                    tables.Classes[codePoint] = byte.Parse(line.AsSpan(mark + 1), CultureInfo.InvariantCulture);
                }

                continue;
            }

            int[] parts = [.. line[(mark + 1)..].Split(' ').Select(Hexadecimal)];
            (line[mark] == '~' ? tables.Compatibility : tables.Canonical)[Hexadecimal(line[..mark])] = parts;
            if (line[mark] == '=')
            {
                tables.Compositions[(parts[0], parts[1])] = Hexadecimal(line[..mark]);
            }
        }

        return tables;
    }

    private static int Hexadecimal(string text) => int.Parse(text, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture);

    private sealed class Tables
    {
        public Dictionary<int, int[]> Canonical { get; } = [];

        public Dictionary<int, int[]> Compatibility { get; } = [];

        public Dictionary<(int First, int Second), int> Compositions { get; } = [];

        public Dictionary<int, byte> Classes { get; } = [];

        public int Class(int codePoint) => codePoint < 0x300 ? 0 : Classes.GetValueOrDefault(codePoint);
    }
}
