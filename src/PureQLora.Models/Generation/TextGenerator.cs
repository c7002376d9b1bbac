using PureQLora.Core;

namespace PureQLora.Models;

/// <summary>Continues prompts: many at once, or one piece by piece.</summary>
/// <remarks>
/// Memory: a key-value cache of 8 · layers · kvHeads · headDim bytes a token of (longest prompt + new tokens) for each prompt of a
/// batch. One call at a time for a model.
/// <example>
/// <code>
/// using CpuBackend backend = new();
/// using ModelFolder folder = ModelFolder.Open("models/my-llama");
/// TextGenerator generator = new(folder, backend);
/// SamplingOptions options = new() { Temperature = 0.7, TopP = 0.9, MaxNewTokens = 200, Seed = 1 };
/// foreach (string piece in generator.Stream("Once upon a time", options))
/// {
///     Console.Write(piece);
/// }
/// </code>
/// </example>
/// </remarks>
public sealed class TextGenerator
{
    private readonly LlamaModel _model;
    private readonly ITokenizer _tokenizer;
    private readonly IBackend _backend;

    /// <summary>Creates a generator.</summary>
    /// <param name="model">With or without adapters.</param>
    /// <param name="tokenizer">The model's.</param>
    /// <param name="backend">Computes.</param>
    public TextGenerator(LlamaModel model, ITokenizer tokenizer, IBackend backend)
    {
        ArgumentNullException.ThrowIfNull(model);
        ArgumentNullException.ThrowIfNull(tokenizer);
        ArgumentNullException.ThrowIfNull(backend);
        (_model, _tokenizer, _backend) = (model, tokenizer, backend);
        StopIds = [.. model.Config.EosIds.Concat(tokenizer.EosId is { } eos ? [eos] : []).Distinct()];
    }

    /// <summary>Creates a generator for a folder; stops also where its <c>generation_config.json</c> says.</summary>
    /// <param name="folder">Model and tokenizer.</param>
    /// <param name="backend">Computes.</param>
    /// <exception cref="UserErrorException">The folder has no tokenizer, or a damaged one.</exception>
    public TextGenerator(ModelFolder folder, IBackend backend)
        : this((folder ?? throw new ArgumentNullException(nameof(folder))).Model, folder.Tokenizer, backend) =>
        StopIds = [.. StopIds.Concat(folder.EosIds).Distinct()];

    /// <summary>Rounding of the operands of matrix products; float32 unless set.</summary>
    public Precision Precision { get; init; }

    /// <summary>Token ids that end a text: those of the model's configuration and the tokenizer's, unless set.</summary>
    public IReadOnlyList<int> StopIds { get; init; }

    /// <summary>Prompts computed together at most; of more, those of like length share a batch. Results do not depend on it.</summary>
    public int MaxBatch { get; init; } = 64;

    /// <summary>
    /// The tokens of a prompt, with BOS where the tokenizer's configuration puts one, and without the EOS that some put behind every text.
    /// </summary>
    /// <param name="prompt">Plain text; spellings of special tokens stay text.</param>
    public int[] EncodePrompt(string prompt)
    {
        int[] ids = _tokenizer.Encode(prompt, addSpecial: true);
        return ids.Length > 0 && ids[^1] == _tokenizer.EosId ? ids[..^1] : ids;
    }

    /// <summary>Continues prompts of any lengths together; each gets what it would get alone, up to float32 rounding of near-equal scores.</summary>
    /// <param name="prompts">Token ids; an empty prompt starts from BOS.</param>
    /// <param name="options">How to choose tokens and when to stop.</param>
    /// <param name="cancellationToken">Checked between tokens; sequences then end as they are, with <see cref="FinishReason.Cancelled"/>.</param>
    /// <returns>A text for each prompt, in their order.</returns>
    /// <exception cref="UserErrorException">An option is out of range; a prompt is too long, holds a foreign id, or is empty without BOS.</exception>
    public IReadOnlyList<Generation> Generate(
        IReadOnlyList<int[]> prompts, SamplingOptions options, CancellationToken cancellationToken = default) =>
        Generate(prompts, options, onText: null, cancellationToken);

    /// <inheritdoc cref="Generate(IReadOnlyList{int[]}, SamplingOptions, CancellationToken)"/>
    /// <param name="prompts">Token ids; an empty prompt starts from BOS.</param>
    /// <param name="options">How to choose tokens and when to stop.</param>
    /// <param name="onText">Told the number of a prompt and its next piece of text.</param>
    /// <param name="cancellationToken">Checked between tokens; sequences then end as they are, with <see cref="FinishReason.Cancelled"/>.</param>
    public IReadOnlyList<Generation> Generate(
        IReadOnlyList<int[]> prompts, SamplingOptions options, Action<int, string>? onText, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(prompts);
        ArgumentNullException.ThrowIfNull(options);
        TokenSampler sampler = new(options);
        GeneratedSequence[] sequences = [.. prompts.Select((prompt, index) => Start(index, prompt, options))];
        HashSet<int> stopIds = AllStopIds(options);
        foreach (GeneratedSequence[] batch in sequences.OrderBy(sequence => sequence.PromptLength).Chunk(MaxBatch))
        {
            foreach ((int index, string text) in Continue(batch, sampler, stopIds, cancellationToken))
            {
                onText?.Invoke(index, text);
            }
        }

        return [.. sequences.Select(sequence => sequence.ToGeneration())];
    }

    /// <summary>Continues one prompt and gives its text piece by piece, never with half a character or the beginning of a stop string.</summary>
    /// <param name="prompt">Plain text; see <see cref="EncodePrompt"/>.</param>
    /// <param name="options">How to choose tokens and when to stop.</param>
    /// <param name="cancellationToken">Checked between tokens; the text then ends.</param>
    /// <exception cref="UserErrorException">An option is out of range; the prompt is too long, holds a foreign id, or is empty without BOS.</exception>
    public IEnumerable<string> Stream(string prompt, SamplingOptions options, CancellationToken cancellationToken = default) =>
        Stream(EncodePrompt(prompt), options, cancellationToken);

    /// <inheritdoc cref="Stream(string, SamplingOptions, CancellationToken)"/>
    /// <param name="prompt">Token ids; an empty prompt starts from BOS.</param>
    /// <param name="options">How to choose tokens and when to stop.</param>
    /// <param name="cancellationToken">Checked between tokens; the text then ends.</param>
    public IEnumerable<string> Stream(IReadOnlyList<int> prompt, SamplingOptions options, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(prompt);
        ArgumentNullException.ThrowIfNull(options);
        TokenSampler sampler = new(options);
        GeneratedSequence sequence = Start(0, prompt, options);
        return Continue([sequence], sampler, AllStopIds(options), cancellationToken).Select(piece => piece.Text);
    }

    private GeneratedSequence Start(int index, IReadOnlyList<int> prompt, SamplingOptions options)
    {
        LlamaConfig config = _model.Config;
        if (prompt.Count == 0)
        {
            prompt = [config.BosId ?? _tokenizer.BosId ?? throw new UserErrorException(
                $"Prompt {index} is empty and the model has no beginning-of-sequence token to start from; give at least one token.")];
        }

        if (prompt.Count > config.MaxPositions)
        {
            throw new UserErrorException($"Prompt {index} is {prompt.Count} tokens long, the model was made for at most {config.MaxPositions}; shorten it.");
        }

        foreach (int id in prompt)
        {
            if ((uint)id >= (uint)config.VocabularySize)
            {
                throw new UserErrorException(
                    $"Prompt {index} has token {id}, the model's tokens are 0–{config.VocabularySize - 1}; encode it with the tokenizer that came with the model.");
            }
        }

        int limit = Math.Min(options.MaxNewTokens, config.MaxPositions - prompt.Count + 1);
        return new GeneratedSequence(index, prompt, limit, new StreamingDecoder(_tokenizer, skipSpecial: true), new StopStringMatcher(options.StopStrings));
    }

    /// <summary>Stop ids of generator and options, and the special tokens among the stop strings: those have no text to be found in.</summary>
    private HashSet<int> AllStopIds(SamplingOptions options)
    {
        HashSet<int> ids = [.. StopIds, .. options.StopIds];
        foreach (string stop in options.StopStrings)
        {
            if (_tokenizer.TokenToId(stop) is { } id && _tokenizer.Decode([id], skipSpecial: true).Length == 0 && _tokenizer.Decode([id]) == stop)
            {
                ids.Add(id);
            }
        }

        return ids;
    }

    private IEnumerable<(int Index, string Text)> Continue(
        GeneratedSequence[] sequences, TokenSampler sampler, HashSet<int> stopIds, CancellationToken cancellationToken)
    {
        using DecodingBatch batch = new(_model, _backend, Precision, sequences);
        bool going = batch.Prefill(cancellationToken);
        while (going)
        {
            for (int row = 0; row < batch.Rows.Count; row++)
            {
                GeneratedSequence sequence = batch.Rows[row];
                string text = sequence.Append(NextToken(batch, row, sampler), stopIds);
                if (text.Length > 0)
                {
                    yield return (sequence.Index, text);
                }
            }

            batch.RemoveFinished();
            going = batch.Rows.Count > 0 && !cancellationToken.IsCancellationRequested;
            if (going)
            {
                batch.Step();
            }
        }

        foreach (GeneratedSequence sequence in batch.Rows)
        {
            string rest = sequence.Finish(FinishReason.Cancelled);
            if (rest.Length > 0)
            {
                yield return (sequence.Index, rest);
            }
        }
    }

    private int NextToken(DecodingBatch batch, int row, TokenSampler sampler)
    {
        GeneratedSequence sequence = batch.Rows[row];

        // Embeddings are often padded beyond the tokenizer's vocabulary; what is there has no text and was never trained.
        ReadOnlySpan<float> logits = batch.Logits(row);
        logits = logits[..Math.Min(logits.Length, _tokenizer.VocabularySize)];
        return sampler.Next(logits, sequence.Ids, sequence.Index, sequence.NewTokens);
    }
}
