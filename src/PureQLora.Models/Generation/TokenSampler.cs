using System.Globalization;
using System.Numerics.Tensors;
using PureQLora.Core;

namespace PureQLora.Models;

/// <summary>Chooses the next token from the model's scores.</summary>
/// <remarks>
/// The random number of a token comes from (seed, sequence, step) alone, so a sequence depends neither on those beside it nor on when
/// it was computed. Probabilities are float64. Buffers are kept between calls: one sampler serves one thread at a time.
/// </remarks>
public sealed class TokenSampler
{
    private readonly SamplingOptions _options;
    private readonly ulong _key;
    private readonly Candidates _candidates = new();

    /// <summary>Creates a sampler.</summary>
    /// <param name="options">How to choose.</param>
    /// <exception cref="UserErrorException">An option is outside its range.</exception>
    public TokenSampler(SamplingOptions options)
    {
        ArgumentNullException.ThrowIfNull(options);
        options.Validate();
        _options = options;
        _key = new RandomState(options.Seed).NextKey();
    }

    /// <summary>The next token of a sequence.</summary>
    /// <param name="logits">A score for each token; −∞ is never chosen.</param>
    /// <param name="context">Tokens before it, prompt included, for the repetition penalty and the n-gram ban.</param>
    /// <param name="sequence">Number of the sequence.</param>
    /// <param name="step">Number of the token in its sequence.</param>
    /// <returns>A token id; where nothing is random, the first of the likeliest.</returns>
    /// <exception cref="UserErrorException">The scores are not numbers, or all are −∞.</exception>
    public int Next(ReadOnlySpan<float> logits, ReadOnlySpan<int> context, long sequence, long step)
    {
        float highest = CheckScores(logits);
        if (_options is { IsGreedy: true, RepetitionPenalty: 1, NoRepeatNgramSize: 0 })
        {
            return logits.IndexOf(highest);
        }

        Reduce(logits, context);
        return _options.IsGreedy
            ? _candidates.First()
            : _candidates.Draw((RandomState.Bits(RandomState.Bits(_key, sequence), step) >> 11) * (1.0 / (1L << 53)));
    }

    /// <summary>The probability of each token to be <see cref="Next"/>.</summary>
    /// <param name="logits">A score for each token.</param>
    /// <param name="context">Tokens before it, prompt included.</param>
    /// <param name="probabilities">[logits.Length], written whole; they add up to 1.</param>
    /// <exception cref="ArgumentException">The spans differ in length.</exception>
    /// <exception cref="UserErrorException">The scores are not numbers, or all are −∞.</exception>
    public void Probabilities(ReadOnlySpan<float> logits, ReadOnlySpan<int> context, Span<double> probabilities)
    {
        if (probabilities.Length != logits.Length)
        {
            throw new ArgumentException($"There are {logits.Length} scores and room for {probabilities.Length} probabilities.", nameof(probabilities));
        }

        CheckScores(logits);
        Reduce(logits, context);
        probabilities.Clear();
        if (_options.IsGreedy)
        {
            probabilities[_candidates.First()] = 1;
        }
        else
        {
            _candidates.CopyProbabilities(probabilities);
        }
    }

    private void Reduce(ReadOnlySpan<float> logits, ReadOnlySpan<int> context)
    {
        _candidates.Load(logits);
        if (_options.RepetitionPenalty != 1)
        {
            _candidates.Penalize(context, _options.RepetitionPenalty);
        }

        if (_options.NoRepeatNgramSize > 0)
        {
            _candidates.BanRepeats(context, _options.NoRepeatNgramSize);
        }

        if (!_candidates.DropImpossible())
        {
            throw new UserErrorException($"A no-repeat n-gram size of {_options.NoRepeatNgramSize} has banned every token; set it to 0 or higher than now.");
        }

        if (_options.IsGreedy)
        {
            return;
        }

        _candidates.Divide(_options.Temperature);
        _candidates.KeepTop(_options.TopK);
        _candidates.KeepNucleus(_options.TopP);
        _candidates.KeepLikely(_options.MinP);
        _candidates.KeepTypical(_options.TypicalP);
    }

    /// <summary>The highest score, which must be a number.</summary>
    private static float CheckScores(ReadOnlySpan<float> logits)
    {
        if (logits.IsEmpty)
        {
            throw new ArgumentException("There are no scores to choose from.", nameof(logits));
        }

        float highest = TensorPrimitives.Max(logits);
        if (!float.IsFinite(highest))
        {
            throw new UserErrorException(
                $"The highest of the model's {logits.Length} scores for the next token is {highest.ToString(CultureInfo.InvariantCulture)}, which is no finite number; its weights or its adapter are damaged, load others or train again with a lower learning rate.");
        }

        return highest;
    }
}
