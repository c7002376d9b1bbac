using System.Globalization;
using System.Text;

namespace PureQLora.Models;

/// <summary>Rewrites a regular expression of Oniguruma or Rust syntax into one that means the same to .NET.</summary>
/// <remarks>
/// Knows what tokenizers use; the rest is refused by name. Case-insensitive letters become classes of all their simple case variants
/// (so <c>(?i:'s)</c> takes <c>'ſ</c>, as those libraries do, in every culture); possessive quantifiers become atomic groups.
/// </remarks>
internal sealed class RegexTranslator(string pattern, JsonPart source)
{
    private const int MaxLength = 16384;
    private const int MaxDepth = 64;
    private static readonly HashSet<string> Categories =
    [
        "L", "Lu", "Ll", "Lt", "Lm", "Lo", "M", "Mn", "Mc", "Me", "N", "Nd", "Nl", "No", "P", "Pc", "Pd", "Ps", "Pe", "Pi", "Pf", "Po",
        "S", "Sm", "Sc", "Sk", "So", "Z", "Zs", "Zl", "Zp", "C", "Cc", "Cf", "Co", "Cn",
    ];

    private readonly StringBuilder _result = new();
    private readonly List<(char First, char Last)> _mentioned = [];
    private int _at;
    private int _depth;
    private bool _ignoreCase;

    /// <summary>The .NET pattern.</summary>
    public string Translate()
    {
        if (pattern.Length > MaxLength)
        {
            throw source.Error($"is {pattern.Length} characters long, allowed are {MaxLength}");
        }

        Alternatives();
        return _at == pattern.Length ? _result.ToString() : throw Refuse("an unmatched )");
    }

    /// <summary>Whether the pattern names a character, by itself or in a range.</summary>
    public bool Mentions(char character) => _mentioned.Any(range => character >= range.First && character <= range.Last);

    private void Alternatives()
    {
        if (++_depth > MaxDepth)
        {
            throw Refuse($"groups nested deeper than {MaxDepth}");
        }

        bool outer = _ignoreCase;
        while (_at < pattern.Length && pattern[_at] != ')')
        {
            if (Take("|"))
            {
                _result.Append('|');
            }
            else
            {
                Quantified();
            }
        }

        _ignoreCase = outer;
        _depth--;
    }

    private void Quantified()
    {
        int start = _result.Length;
        Atom();
        if (_at == pattern.Length || pattern[_at] is not ('*' or '+' or '?' or '{'))
        {
            return;
        }

        bool counted = pattern[_at] == '{';
        _result.Append(counted ? Count() : pattern[_at++].ToString());
        if (_at < pattern.Length && pattern[_at] is '?' or '+')
        {
            // {2,3}+ and {2}? mean different things to different libraries.
            if (counted)
            {
                throw Refuse($"{{…}}{pattern[_at]}");
            }

            if (Take("?"))
            {
                _result.Append('?');
            }
            else
            {
                _at++;
                _result.Insert(start, "(?>").Append(')');
            }
        }

        if (_at < pattern.Length && pattern[_at] is '*' or '+' or '?' or '{')
        {
            throw Refuse("a quantifier of a quantifier");
        }
    }

    private string Count()
    {
        int end = pattern.IndexOf('}', _at);
        string body = end < 0 ? "" : pattern[(_at + 1)..end];
        string[] bounds = body.Split(',');
        bool valid = bounds.Length <= 2 && bounds.All(bound => bound.Length <= 4 && bound.All(char.IsAsciiDigit)) && body.Any(char.IsAsciiDigit);
        if (!valid)
        {
            throw Refuse("a { that begins no count");
        }

        _at = end + 1;
        return $"{{{(bounds[0].Length == 0 ? "0" + body : body)}}}";
    }

    private void Atom()
    {
        char character = pattern[_at++];
        switch (character)
        {
            case '(':
                Group();
                break;
            case '[':
                _result.Append('[').Append(Take("^") ? "^" : "");
                ClassItems();
                _result.Append(']');
                break;
            case '\\':
                Escape(inClass: false);
                break;
            case '.':
                _result.Append(@"[^\n]");
                break;
            case '^' or '$':
                _result.Append("(?m:").Append(character).Append(')');      // lines, as in Ruby syntax
                break;
            case '*' or '+' or '?' or '{':
                throw Refuse($"a {character} that repeats nothing");
            default:
                Literal(character);
                break;
        }
    }

    private void Group()
    {
        string opening = "(?:";
        bool ignoreCase = _ignoreCase;
        if (_at == 1 && Take("?i)"))     // further on, libraries disagree on how far it reaches
        {
            _ignoreCase = true;
            _result.Append("(?:)");
            return;
        }

        if (Take("?i:"))
        {
            ignoreCase = true;
        }
        else if (Take("?-i:"))
        {
            ignoreCase = false;
        }
        else if (_at < pattern.Length && pattern[_at] == '?')
        {
            string[] known = ["?:", "?=", "?!", "?<=", "?<!", "?>"];
            opening = "(" + (known.FirstOrDefault(Take) ?? throw Refuse($"a group ({pattern.AsSpan(_at, Math.Min(3, pattern.Length - _at))}"));
        }

        (bool outer, _ignoreCase) = (_ignoreCase, ignoreCase);
        _result.Append(opening);
        Alternatives();
        _result.Append(')');
        _ignoreCase = outer;
        if (!Take(")"))
        {
            throw Refuse("a group that does not end");
        }
    }

    private void ClassItems()
    {
        int items = 0;
        for (; !Take("]"); items++)
        {
            if (_at >= pattern.Length)
            {
                throw Refuse("a class that does not end");
            }

            string rest = pattern[_at..Math.Min(pattern.Length, _at + 2)];
            if (rest[0] == '[' || rest == "&&")
            {
                throw Refuse($"'{rest}' inside a class");
            }

            char? first = pattern[_at++] is char character && character == '\\' ? Escape(inClass: true) : character;
            if (first is not char low)
            {
                continue;
            }

            char high = low;
            if (_at + 1 < pattern.Length && pattern[_at] == '-' && pattern[_at + 1] != ']')
            {
                _at++;
                character = pattern[_at++];
                high = (character == '\\' ? Escape(inClass: true) : character) ?? throw Refuse("a class as the end of a range");
            }

            Range(low, high);
        }

        if (items == 0)
        {
            throw Refuse("an empty class");
        }
    }

    private void Range(char low, char high)
    {
        if (high < low)
        {
            throw Refuse("a range from a higher to a lower character");
        }

        if (_ignoreCase && (low != high || CaseVariants.Of(low).Length > 1))
        {
            for (int value = low; value <= high; value++)
            {
                foreach (char variant in CaseVariants.Of((char)value))
                {
                    _result.Append(Spell(variant));
                }
            }

            return;
        }

        _mentioned.Add((Checked(low), Checked(high)));
        _result.Append(Spell(low));
        if (high != low)
        {
            _result.Append('-').Append(Spell(high));
        }
    }

    private void Literal(char character)
    {
        string variants = _ignoreCase ? CaseVariants.Of(Checked(character)) : Checked(character).ToString();
        _result.Append(variants.Length == 1 ? "" : "[");
        foreach (char variant in variants)
        {
            _mentioned.Add((variant, variant));
            _result.Append(Spell(variant));
        }

        _result.Append(variants.Length == 1 ? "" : "]");
    }

    /// <summary>Writes a class, or a literal outside of one; inside of one a literal is returned, since it may begin a range.</summary>
    private char? Escape(bool inClass)
    {
        char kind = _at < pattern.Length ? pattern[_at++] : throw Refuse("a \\ at the end");
        switch (kind)
        {
            case 's' or 'S' or 'd' or 'D':
                _result.Append('\\').Append(kind);
                return null;
            case 'w':
                _result.Append(inClass ? CharacterClasses.WordPattern : $"[{CharacterClasses.WordPattern}]");
                return null;
            case 'W' when !inClass:
                _result.Append("[^").Append(CharacterClasses.WordPattern).Append(']');
                return null;
            case 'p' or 'P':
                Property(kind);
                return null;
        }

        char literal = kind switch
        {
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'f' => '\f',
            'v' => '\v',
            'a' => '\a',
            'e' => '\u001B',
            'u' => Hexadecimal(4),
            'x' when Take("{") => Hexadecimal(pattern.IndexOf('}', _at) - _at, closing: true),
            'x' => Hexadecimal(2),
            _ when char.IsAscii(kind) && !char.IsAsciiLetterOrDigit(kind) => kind,
            _ => throw Refuse($"\\{kind}"),
        };
        if (!inClass)
        {
            Literal(literal);
        }

        return literal;
    }

    private char Hexadecimal(int digits, bool closing = false)
    {
        if (digits is < 1 or > 8 || _at + digits > pattern.Length
            || !int.TryParse(pattern.AsSpan(_at, digits), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out int value) || value is < 0 or > 0xFFFF)
        {
            throw Refuse("a hexadecimal escape outside 0 to FFFF");
        }

        _at += digits + (closing ? 1 : 0);
        return (char)value;
    }

    private void Property(char kind)
    {
        int end = _at < pattern.Length && pattern[_at] == '{' ? pattern.IndexOf('}', _at) : -1;
        string name = end < 0 ? "" : pattern[(_at + 1)..end];
        bool negated = name.StartsWith('^');
        string category = negated ? name[1..] : name;
        if (!Categories.Contains(category) || (_ignoreCase && category is "Lu" or "Ll" or "Lt"))
        {
            throw Refuse($"\\{kind}{{{name}}}");
        }

        _at = end + 1;
        _result.Append(negated == (kind == 'P') ? @"\p{" : @"\P{").Append(category).Append('}');
    }

    private bool Take(string expected)
    {
        bool found = string.CompareOrdinal(pattern, _at, expected, 0, expected.Length) == 0;
        _at += found ? expected.Length : 0;
        return found;
    }

    private char Checked(char character) => char.IsSurrogate(character) ? throw Refuse("a character above U+FFFF") : character;

    private static string Spell(char character) =>
        char.IsAsciiLetterOrDigit(character) ? character.ToString() : string.Create(CultureInfo.InvariantCulture, $@"\u{(int)character:X4}");

    private Core.UserErrorException Refuse(string what) =>
        source.Error($"has the pattern '{pattern}', in which {what} (at character {Math.Min(_at, pattern.Length)}) is not supported");
}
