using System.Buffers;

namespace PureQLora.Models;

/// <summary>Finds tokens in a text: at each place the longest. Immutable.</summary>
internal sealed class TokenTrie
{
    private readonly Dictionary<(int Node, char Character), int> _children = [];
    private readonly List<int> _ids = [-1];   // by node; −1 = no token ends here
    private readonly SearchValues<char> _firstCharacters;

    /// <summary>Stores the tokens.</summary>
    /// <param name="tokens">Spelling and id; spellings are not empty.</param>
    public TokenTrie(IEnumerable<KeyValuePair<string, int>> tokens)
    {
        HashSet<char> first = [];
        foreach ((string text, int id) in tokens)
        {
            first.Add(text[0]);
            int node = 0;
            foreach (char character in text)
            {
                if (!_children.TryGetValue((node, character), out int child))
                {
                    child = _ids.Count;
                    _children.Add((node, character), child);
                    _ids.Add(-1);
                }

                node = child;
            }

            _ids[node] = id;
        }

        _firstCharacters = SearchValues.Create([.. first]);
    }

    /// <summary>Whether there is no token.</summary>
    public bool IsEmpty => _ids.Count == 1;

    /// <summary>Finds the leftmost token at or after <paramref name="from"/>, and of those that begin there the longest.</summary>
    public bool TryFind(ReadOnlySpan<char> text, int from, out int start, out int length, out int id)
    {
        for (start = from; !IsEmpty && start < text.Length; start++)
        {
            int skip = text[start..].IndexOfAny(_firstCharacters);
            if (skip < 0)
            {
                break;
            }

            start += skip;
            if (TryMatch(text[start..], out length, out id))
            {
                return true;
            }
        }

        (start, length, id) = (text.Length, 0, -1);
        return false;
    }

    /// <summary>Finds the longest token that begins the text.</summary>
    public bool TryMatch(ReadOnlySpan<char> text, out int length, out int id)
    {
        (length, id) = (0, -1);
        int node = 0;
        for (int i = 0; i < text.Length && _children.TryGetValue((node, text[i]), out node); i++)
        {
            if (_ids[node] >= 0)
            {
                (length, id) = (i + 1, _ids[node]);
            }
        }

        return id >= 0;
    }
}
