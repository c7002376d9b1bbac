namespace PureQLora.Models;

/// <summary>Text of a growing sequence of ids, piece by piece, never with half a character.</summary>
/// <remarks>
/// What ends in U+FFFD is held back, since the next id may complete it. Only the ids since the last but one piece of text are decoded
/// again, and after <see cref="MaxHeld"/> ids text comes in any case, so the cost of an id does not grow with the sequence.
/// One decoder serves one sequence; it is not safe to share between threads.
/// </remarks>
/// <param name="tokenizer">The tokenizer of the ids.</param>
/// <param name="skipSpecial">Leave special tokens out of the text.</param>
public sealed class StreamingDecoder(ITokenizer tokenizer, bool skipSpecial = false)
{
    /// <summary>A character needs at most four ids; so long a run without a whole one is broken text.</summary>
    private const int MaxHeld = 32;

    private readonly List<int> _ids = [];   // context, then what is held back
    private string _context = "";           // text of the first _contextLength ids
    private int _contextLength;

    /// <summary>Adds an id and returns the text that became printable, often none.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The id is outside the vocabulary.</exception>
    public string Append(int id)
    {
        _ids.Add(id);
        string text = Decode(0);
        bool whole = !text.EndsWith('\uFFFD') && text.StartsWith(_context, StringComparison.Ordinal);
        if (!whole && _ids.Count - _contextLength < MaxHeld)
        {
            return "";
        }

        string added = After(text);
        if (added.Length > 0 || _ids.Count >= 2 * MaxHeld)
        {
            MoveContext(text);
        }

        return added;
    }

    /// <summary>Ends the sequence and returns the text that was held back.</summary>
    public string Flush()
    {
        string added = After(Decode(0));
        _ids.Clear();
        (_context, _contextLength) = ("", 0);
        return added;
    }

    private string Decode(int start) => tokenizer.Decode(System.Runtime.InteropServices.CollectionsMarshal.AsSpan(_ids)[start..], skipSpecial);

    private string After(string text) => text[text.AsSpan().CommonPrefixLength(_context)..];

    private void MoveContext(string text)
    {
        // A tokenizer may hide a space at the beginning, so the context must hold more than spaces.
        string recent = Decode(_contextLength);
        if (!string.IsNullOrWhiteSpace(recent) || _ids.Count >= 2 * MaxHeld)
        {
            _ids.RemoveRange(0, _contextLength);
            text = recent;
        }

        (_context, _contextLength) = (text, _ids.Count);
    }
}
