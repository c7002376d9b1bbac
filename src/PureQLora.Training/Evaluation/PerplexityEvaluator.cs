using PureQLora.Core;
using PureQLora.Models;

namespace PureQLora.Training;

/// <summary>
/// Perplexity over windows of tokens. Each window stands alone: the model sees BOS and all but the last of its tokens, and every token
/// of the window is predicted. Without a BOS token the first token of a window is only seen.
/// </summary>
public static class PerplexityEvaluator
{
    private const int TokensAtOnce = 1024;

    /// <summary>Cuts a text's ids into windows; a last one that is shorter is kept if it predicts anything.</summary>
    /// <param name="ids">Token ids without BOS.</param>
    /// <param name="window">Tokens of a window, at least 2.</param>
    public static IReadOnlyList<int[]> Windows(ReadOnlySpan<int> ids, int window)
    {
        if (window < 2)
        {
            throw new UserErrorException($"The window is {window} tokens, allowed 2 or more; 256 to 2048 are usual.");
        }

        List<int[]> windows = [];
        for (int start = 0; start < ids.Length; start += window)
        {
            windows.Add(ids.Slice(start, Math.Min(window, ids.Length - start)).ToArray());
        }

        return windows;
    }

    /// <summary>Tokens of the largest pass over some windows, at most: for plans.</summary>
    /// <param name="windows">Token ids, one array a window.</param>
    public static int LargestPass(IReadOnlyList<int[]> windows)
    {
        ArgumentNullException.ThrowIfNull(windows);
        return TokensAtOnce + windows.Max(window => window.Length);
    }

    /// <summary>Measures a model.</summary>
    /// <param name="model">With or without adapters.</param>
    /// <param name="backend">Computes.</param>
    /// <param name="windows">Token ids, one array a window.</param>
    /// <param name="bosId">Put before each window, or null.</param>
    /// <param name="precision">Rounding of the operands of matrix products.</param>
    /// <param name="progress">Told how many windows are done.</param>
    /// <param name="cancellationToken">Checked between batches.</param>
    /// <exception cref="UserErrorException">Nothing to predict, or an id outside the vocabulary.</exception>
    public static PerplexityResult Measure(
        LlamaModel model,
        IBackend backend,
        IReadOnlyList<int[]> windows,
        int? bosId,
        Precision precision = Precision.Float32,
        IProgress<int>? progress = null,
        CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(model);
        ArgumentNullException.ThrowIfNull(backend);
        ArgumentNullException.ThrowIfNull(windows);
        using Arena arena = new(backend);
        MicroBatch batch = new();
        (double sum, long count) = (0, 0);
        for (int i = 0; i < windows.Count; i++)
        {
            Add(batch, windows[i], bosId, model.Config.VocabularySize);
            if (batch.Tokens >= TokensAtOnce || i + 1 == windows.Count)
            {
                cancellationToken.ThrowIfCancellationRequested();
                sum += NegativeLogLikelihood(model, arena, batch, precision);
                count += batch.SupervisedTokens;
                batch.Clear();
                progress?.Report(i + 1);
            }
        }

        return count > 0
            ? new PerplexityResult(sum / count, count) { Precision = precision.Name(), Device = backend.Description }
            : throw new UserErrorException("There is no token to predict; give a text of at least two tokens.");
    }

    private static void Add(MicroBatch batch, int[] window, int? bosId, int vocabulary)
    {
        foreach (int id in window)
        {
            if (id < 0 || id >= vocabulary)
            {
                throw new UserErrorException($"Token id {id} is outside the vocabulary of {vocabulary}; encode the text with this model's tokenizer.");
            }
        }

        int[] ids = bosId is { } bos ? [bos, .. window] : window;
        if (ids.Length > 1)
        {
            // The last token is only a target: nothing is asked of it.
            batch.Add(new TrainingSample(ids, ids), 0, ids.Length);
        }
    }

    private static double NegativeLogLikelihood(LlamaModel model, Arena arena, MicroBatch batch, Precision precision)
    {
        if (batch.Tokens == 0)
        {
            return 0;
        }

        using ComputeScope scope = new(arena) { Precision = precision };
        Tensor hidden = model.Forward(scope, batch.Input(scope));
        Tensor targets = scope.View(batch.Targets(scope), new Shape(batch.Tokens));
        Tensor losses = CrossEntropy.TokenLosses(scope, scope.View(hidden, new Shape(batch.Tokens, model.Config.HiddenSize)), model.Head, targets);
        double sum = 0;
        foreach (float loss in losses.ToArray())
        {
            sum += loss;
        }

        return sum;
    }
}
