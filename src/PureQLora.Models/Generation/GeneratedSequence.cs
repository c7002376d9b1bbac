using System.Runtime.InteropServices;
using System.Text;

namespace PureQLora.Models;

/// <summary>One prompt and what has been written after it so far.</summary>
internal sealed class GeneratedSequence
{
    private readonly List<int> _ids;
    private readonly StreamingDecoder _decoder;
    private readonly StopStringMatcher _matcher;
    private readonly StringBuilder _text = new();
    private readonly int _limit;

    /// <param name="index">Its number among the prompts.</param>
    /// <param name="prompt">At least one token.</param>
    /// <param name="limit">New tokens at most.</param>
    /// <param name="decoder">Makes text of tokens.</param>
    /// <param name="matcher">Finds stop strings.</param>
    public GeneratedSequence(int index, IReadOnlyList<int> prompt, int limit, StreamingDecoder decoder, StopStringMatcher matcher)
    {
        (Index, PromptLength, _limit, _decoder, _matcher) = (index, prompt.Count, limit, decoder, matcher);
        _ids = [.. prompt];
    }

    /// <summary>Its number among the prompts.</summary>
    public int Index { get; }

    /// <summary>Tokens of the prompt.</summary>
    public int PromptLength { get; }

    /// <summary>Tokens that its prompt and the longest allowed text take in a key-value cache: the last one is never looked back at.</summary>
    public int MaxLength => PromptLength + _limit - 1;

    /// <summary>Tokens written.</summary>
    public int NewTokens => _ids.Count - PromptLength;

    /// <summary>Prompt and tokens written.</summary>
    public ReadOnlySpan<int> Ids => CollectionsMarshal.AsSpan(_ids);

    /// <summary>Why it ended, or null.</summary>
    public FinishReason? FinishReason { get; private set; }

    /// <summary>Adds a token and returns the text that became certain.</summary>
    public string Append(int id, IReadOnlySet<int> stopIds)
    {
        _ids.Add(id);
        bool ended = stopIds.Contains(id);
        string piece = ended ? "" : _matcher.Append(_decoder.Append(id));
        _text.Append(piece);
        if (ended || _matcher.Found)
        {
            return piece + Finish(Models.FinishReason.Stop);
        }

        return NewTokens == _limit ? piece + Finish(Models.FinishReason.Length) : piece;
    }

    /// <summary>Ends the sequence and returns the text that was held back.</summary>
    public string Finish(FinishReason reason)
    {
        string rest = _matcher.Append(_decoder.Flush());
        rest += _matcher.Flush();
        FinishReason = _matcher.Found ? Models.FinishReason.Stop : reason;
        _text.Append(rest);
        return rest;
    }

    /// <summary>What was written.</summary>
    public Generation ToGeneration() => new(_ids[PromptLength..], _text.ToString(), FinishReason ?? Models.FinishReason.Cancelled);
}
