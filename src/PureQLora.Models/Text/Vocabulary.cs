using PureQLora.Core;

namespace PureQLora.Models;

/// <summary>Spellings of tokens by id, and back. Immutable once filled.</summary>
internal sealed class Vocabulary
{
    /// <summary>Most ids that a file may use; the largest real vocabularies have about 260,000.</summary>
    public const int MaxSize = 1 << 20;

    private readonly Dictionary<string, int> _ids = new(StringComparer.Ordinal);
    private readonly List<string?> _tokens = [];

    /// <summary>One more than the highest id.</summary>
    public int Size => _tokens.Count;

    /// <summary>Ids by spelling.</summary>
    public Dictionary<string, int> Ids => _ids;

    /// <summary>Spelling of an id, or null.</summary>
    public string? Token(int id) => id >= 0 && id < _tokens.Count ? _tokens[id] : null;

    /// <summary>Id of a spelling, or null.</summary>
    public int? Find(string token) => _ids.TryGetValue(token, out int id) ? id : null;

    /// <summary>Adds a token; a token that is already there must have the same id.</summary>
    /// <param name="token">Spelling.</param>
    /// <param name="id">Id below <see cref="MaxSize"/>.</param>
    /// <param name="source">Where it stands, for messages.</param>
    /// <exception cref="UserErrorException">The id or the token is taken.</exception>
    public void Add(string token, int id, JsonPart source)
    {
        while (_tokens.Count <= id)
        {
            _tokens.Add(null);
        }

        if (_tokens[id] is string other && other != token)
        {
            throw source.Error($"gives the id {id} to '{token}', which is that of '{other}'; every id belongs to one token");
        }

        if (!_ids.TryAdd(token, id) && _ids[token] != id)
        {
            throw source.Error($"gives '{token}' the id {id}, and it already has {_ids[token]}; every token has one id");
        }

        _tokens[id] = token;
    }
}
