using PureQLora.Models;

namespace PureQLora.Tools.Bench;

/// <summary>A letter for every id, so that a model without a vocabulary can generate.</summary>
/// <param name="size">Ids are 0 … size − 1.</param>
internal sealed class LetterTokenizer(int size) : ITokenizer
{
    private const int Letters = 26;

    /// <inheritdoc/>
    public int VocabularySize => size;

    /// <inheritdoc/>
    public int? BosId => null;

    /// <inheritdoc/>
    public int? EosId => null;

    /// <inheritdoc/>
    public int[] Encode(string text, bool addSpecial = false, bool parseSpecial = false) => [.. text.Select(letter => letter - 'a')];

    /// <inheritdoc/>
    public string Decode(ReadOnlySpan<int> ids, bool skipSpecial = false)
    {
        char[] letters = new char[ids.Length];
        for (int i = 0; i < letters.Length; i++)
        {
            letters[i] = Letter(ids[i]);
        }

        return new string(letters);
    }

    /// <inheritdoc/>
    public string? IdToToken(int id) => id < size ? Letter(id).ToString() : null;

    /// <inheritdoc/>
    public int? TokenToId(string token) => token is [>= 'a' and <= 'z'] ? token[0] - 'a' : null;

    private static char Letter(int id) => (char)('a' + (id % Letters));
}
