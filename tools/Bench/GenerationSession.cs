using System.Diagnostics;
using PureQLora.Core;
using PureQLora.Models;

namespace PureQLora.Tools.Bench;

/// <summary>Prompts and greedy continuations of random ids through the text generator, sampling included.</summary>
internal sealed class GenerationSession
{
    private const int PromptLength = 8;

    private readonly LlamaModel _model;
    private readonly TextGenerator _generator;

    /// <param name="model">A random one.</param>
    /// <param name="backend">Computes.</param>
    /// <param name="precision">Of matrix products.</param>
    public GenerationSession(LlamaModel model, IBackend backend, Precision precision)
    {
        _model = model;
        _generator = new TextGenerator(model, new LetterTokenizer(model.Config.VocabularySize), backend) { Precision = precision };
    }

    /// <summary>Rounding of the operands of matrix products.</summary>
    public Precision Precision => _generator.Precision;

    /// <summary>Bytes of weights that a step reads, however many sequences it continues.</summary>
    public long StepBytes => _model.Linears.Sum(linear => linear.Weight.ByteLength) + _model.Head.ByteLength;

    /// <summary>Reads a prompt and chooses one token; seconds.</summary>
    /// <param name="tokens">Tokens of the prompt.</param>
    public double Prefill(int tokens)
    {
        int[][] prompts = [RandomIds.Create(tokens, _model.Config.VocabularySize, seed: 3)];
        long began = Stopwatch.GetTimestamp();
        _generator.Generate(prompts, new SamplingOptions { MaxNewTokens = 1 });
        return Stopwatch.GetElapsedTime(began).TotalSeconds;
    }

    /// <summary>Seconds from the first new token of all sequences to their last one: tokens − 1 steps.</summary>
    /// <param name="batch">Sequences continued together.</param>
    /// <param name="tokens">New tokens of each.</param>
    public double Decode(int batch, int tokens)
    {
        int[][] prompts = [.. Enumerable.Range(0, batch).Select(row => RandomIds.Create(PromptLength, _model.Config.VocabularySize, (ulong)row))];
        (long made, long began, long ended) = (0, 0, 0);
        _generator.Generate(prompts, new SamplingOptions { MaxNewTokens = tokens }, (_, _) =>
        {
            ended = Stopwatch.GetTimestamp();
            began = ++made == batch ? ended : began;
        });
        return made == (long)batch * tokens
            ? Stopwatch.GetElapsedTime(began, ended).TotalSeconds
            : throw new InvalidOperationException($"{made} tokens were made, {batch} · {tokens} were asked for.");
    }
}
