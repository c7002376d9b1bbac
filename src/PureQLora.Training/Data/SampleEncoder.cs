using PureQLora.Core;
using PureQLora.Models;

namespace PureQLora.Training;

/// <summary>Tokenises samples and masks their prompts, as TRL's SFTTrainer (1.16.0) does.</summary>
/// <remarks>
/// The completion begins where the ids of the prompt and of prompt + completion part, so a token that spans both is learnt.
/// Labels are masked by position, never by value: the end-of-sequence token is supervised even where it is also the padding.
/// </remarks>
public sealed class SampleEncoder
{
    private readonly ITokenizer _tokenizer;

    /// <summary>Creates the encoder.</summary>
    /// <param name="tokenizer">The model's tokenizer.</param>
    public SampleEncoder(ITokenizer tokenizer) => _tokenizer = tokenizer;

    /// <summary>Longest sample in tokens, at least 2.</summary>
    public int MaxLength { get; init; } = 1024;

    /// <summary>Which end stays of a sample that is longer.</summary>
    public TruncationMode Truncation { get; init; } = TruncationMode.KeepStart;

    /// <summary>Off: prompts are supervised, too.</summary>
    public bool CompletionOnly { get; init; } = true;

    /// <summary>Whether special tokens spelt out in the data are read as such.</summary>
    public bool ParseSpecial { get; init; }

    /// <summary>Tokenises a sample.</summary>
    /// <returns>One sample; several for a long splittable text; none where truncation leaves nothing to learn.</returns>
    /// <exception cref="UserErrorException">The data itself supervises nothing, an id is outside the vocabulary, or the tokenizer has no end of sequence.</exception>
    public IReadOnlyList<TrainingSample> Encode(TrainingExample example)
    {
        if (MaxLength < 2)
        {
            throw new UserErrorException($"The maximum length is {MaxLength} tokens, allowed is 2 or more. Try 512.");
        }

        TrainingSample sample = example switch
        {
            PromptCompletionExample pair => EncodePair(pair),
            TextExample text => EncodeText(text),
            TokenizedExample tokens => CheckTokens(tokens),
            _ => throw new ArgumentException($"No way to encode a {example.GetType().Name}.", nameof(example)),
        };
        if (sample.SupervisedTokens == 0)
        {
            throw new UserErrorException($"{example.Location}: the sample supervises nothing, so nothing can be learnt from it. Give it labels or a completion, or remove it.");
        }

        if (example is TextExample { Splittable: true } && sample.Length > MaxLength)
        {
            return Split(sample);
        }

        sample = Truncate(sample);
        return sample.SupervisedTokens > 0 ? [sample] : [];
    }

    private TrainingSample EncodePair(PromptCompletionExample pair)
    {
        int[] prompt = _tokenizer.Encode(pair.Prompt, addSpecial: true, ParseSpecial);
        int[] all = EncodeWithEnd(pair.Prompt + pair.Completion);
        int[] labels = [.. all];
        if (CompletionOnly)
        {
            labels.AsSpan(0, Math.Min(prompt.AsSpan().CommonPrefixLength(all), all.Length)).Fill(TrainingSample.NoLabel);
        }

        return new(all, labels);
    }

    private TrainingSample EncodeText(TextExample text)
    {
        int[] all = EncodeWithEnd(text.Text);
        return new(all, [.. all]);
    }

    /// <summary>Ids of a text with the end of sequence behind it, once, also where the data spell it out.</summary>
    private int[] EncodeWithEnd(string text)
    {
        int end = _tokenizer.EosId ?? throw new UserErrorException("The tokenizer has no end-of-sequence token, so a model could never learn to stop. Name one in tokenizer_config.json.");
        if (_tokenizer.IdToToken(end) is { Length: > 0 } spelling && text.EndsWith(spelling, StringComparison.Ordinal))
        {
            text = text[..^spelling.Length];
        }

        int[] ids = _tokenizer.Encode(text, addSpecial: true, ParseSpecial);
        return ids.Length > 0 && ids[^1] == end ? ids : [.. ids, end];
    }

    private TrainingSample CheckTokens(TokenizedExample tokens)
    {
        int largest = Math.Max(tokens.InputIds.Max(), tokens.Labels.Max());
        return largest < _tokenizer.VocabularySize
            ? new(tokens.InputIds, tokens.Labels)
            : throw new UserErrorException($"{tokens.Location}: token id {largest} is outside the vocabulary of {_tokenizer.VocabularySize}. Tokenise the data with this model's tokenizer.");
    }

    private TrainingSample Truncate(TrainingSample sample)
    {
        if (sample.Length <= MaxLength)
        {
            return sample;
        }

        Range kept = Truncation == TruncationMode.KeepStart ? ..MaxLength : ^MaxLength..;
        return new(sample.InputIds[kept], sample.Labels[kept]);
    }

    private List<TrainingSample> Split(TrainingSample sample)
    {
        List<TrainingSample> pieces = [];
        for (int start = 0; start < sample.Length; start += MaxLength)
        {
            Range piece = start..Math.Min(start + MaxLength, sample.Length);
            TrainingSample part = new(sample.InputIds[piece], sample.Labels[piece]);
            if (part.SupervisedTokens > 0)
            {
                pieces.Add(part);
            }
        }

        return pieces;
    }
}
