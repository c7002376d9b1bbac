using System.CommandLine;
using System.Diagnostics;
using System.Globalization;
using PureQLora.Core;
using PureQLora.Models;
using PureQLora.Training;

namespace PureQLora.Tools.Bench;

/// <summary><c>bench tokenise</c>: how fast text becomes token ids: line by line, whole, and as training samples.</summary>
/// <remarks>
/// "First" is a text that the tokenizer has never seen: it was loaded for this one measurement and remembers no word. Only the code is
/// warm. "Again" is the same text once more, when its words are remembered. Of a whole text, every thread encodes all. Samples are
/// what training makes of the data, labels included; a prompt is encoded twice, alone and with its completion, and counted once.
/// </remarks>
internal static class TokeniseCommand
{
    private const double Megabyte = 1e6;
    private static readonly TimeSpan WarmUp = TimeSpan.FromSeconds(0.5);

    private static readonly Option<string[]> Tokenizers = new("--tokenizer")
    {
        Description = "Model folder, tokenizer.json or tokenizer.model; repeatable. Without it, one of each kind is trained on generated text.",
        AllowMultipleArgumentsPerToken = true,
    };

    private static readonly Option<string[]> Texts = new("--text")
    {
        Description = "Text or JSON-lines data file; repeatable. Without it, text is generated.",
        AllowMultipleArgumentsPerToken = true,
    };

    private static readonly Option<int> Repetitions = new("--repetitions")
    {
        Description = "Measurements of each figure, of which the best counts.",
        DefaultValueFactory = _ => 5,
    };

    public static Command Create()
    {
        Command command = new("tokenise", "Measures tokenizers in MB/s, on one thread and on all.") { Tokenizers, Texts, Repetitions };
        command.SetAction(result => Run(result.GetValue(Tokenizers) ?? [], result.GetValue(Texts) ?? [], result.GetValue(Repetitions)));
        return command;
    }

    private static int Run(string[] tokenizerPaths, string[] textPaths, int repetitions)
    {
        if (repetitions is < 1 or > 1000)
        {
            throw new UserErrorException($"--repetitions is {repetitions}, allowed 1 to 1000.");
        }

        IReadOnlyList<BenchmarkText> texts = textPaths.Length > 0 ? [.. textPaths.Select(BenchmarkText.Read)] : [BenchmarkText.Generate()];
        IReadOnlyList<(string Name, Func<ITokenizer> Load)> tokenizers = tokenizerPaths.Length > 0
            ? [.. tokenizerPaths.Select(path => (path, (Func<ITokenizer>)(() => TokenizerFile.Load(path))))]
            : SampleTokenizers.Train();
        int threads = Environment.ProcessorCount;
        Print($"MB/s of UTF-8, best of {repetitions}; first: words never seen before, again: the same text once more");
        Print($"{"",-48}{"1 thread",18}{$"{threads} threads",18}{"",10}");
        Print($"{"tokenizer",-20}{"text",-20}{"MB",-8}{"first",9}{"again",9}{"first",9}{"again",9}{"tokens",12}");
        foreach ((string name, Func<ITokenizer> load) in tokenizers)
        {
            foreach (BenchmarkText text in texts)
            {
                string whole = text.Whole;
                Show(name, $"{text.Name} lines", load, text.Bytes, (tokenizer, threads) => Encode(tokenizer, text.Lines, threads), repetitions);
                Show(name, $"{text.Name} whole", load, text.Bytes, (tokenizer, threads) => Encode(tokenizer, [.. Enumerable.Repeat(whole, threads)], threads) / threads, repetitions, perThread: true);
                Show(name, $"{text.Name} samples", load, text.Bytes, (tokenizer, threads) => TrainingData.Create(text.Examples, new SampleEncoder(tokenizer), threads).Tokens, repetitions);
            }
        }

        return ToolProgram.Success;
    }

    /// <summary>One line of the table.</summary>
    /// <param name="tokenizer">Name of the tokenizer.</param>
    /// <param name="text">Name of the text.</param>
    /// <param name="load">Loads the tokenizer anew.</param>
    /// <param name="bytes">Bytes of the text.</param>
    /// <param name="encode">Encodes the text on some threads and returns its tokens.</param>
    /// <param name="repetitions">Measurements.</param>
    /// <param name="perThread">Whether every thread encodes all of the text.</param>
    private static void Show(string tokenizer, string text, Func<ITokenizer> load, long bytes, Func<ITokenizer, int, long> encode, int repetitions, bool perThread = false)
    {
        int threads = Environment.ProcessorCount;
        (double first, double again, long tokens) = Measure(load, encode, 1, repetitions);
        (double firstOfAll, double againOfAll, _) = Measure(load, encode, threads, repetitions);
        double size = bytes / Megabyte;
        double sizeOfAll = perThread ? size * threads : size;
        Print($"{Shorten(tokenizer, 19),-20}{Shorten(text, 19),-20}{size,-8:F2}{size / first,9:F1}{size / again,9:F1}{sizeOfAll / firstOfAll,9:F1}{sizeOfAll / againOfAll,9:F1}{tokens,12}");
    }

    /// <summary>Least seconds.</summary>
    private static (double First, double Again, long Tokens) Measure(Func<ITokenizer> load, Func<ITokenizer, int, long> encode, int threads, int repetitions)
    {
        ITokenizer warm = load();
        for (Stopwatch watch = Stopwatch.StartNew(); watch.Elapsed < WarmUp;)
        {
            encode(warm, threads);
        }

        (double first, double again, long tokens) = (double.MaxValue, double.MaxValue, 0);
        for (int repetition = 0; repetition < repetitions; repetition++)
        {
            ToolProgram.Cancellation.ThrowIfCancellationRequested();
            ITokenizer tokenizer = load();
            GC.Collect();
            first = Math.Min(first, Seconds(() => tokens = encode(tokenizer, threads)));
            GC.Collect();
            again = Math.Min(again, Seconds(() => tokens = encode(tokenizer, threads)));
        }

        return (first, again, tokens);
    }

    /// <summary>Encodes all texts and returns how many tokens they have.</summary>
    private static long Encode(ITokenizer tokenizer, string[] texts, int threads)
    {
        if (threads == 1)
        {
            long tokens = 0;
            foreach (string text in texts)
            {
                tokens += tokenizer.Encode(text).Length;
            }

            return tokens;
        }

        long total = 0;
        Parallel.ForEach(texts, new ParallelOptions { MaxDegreeOfParallelism = threads }, () => 0L, (text, _, sum) => sum + tokenizer.Encode(text).Length, sum => Interlocked.Add(ref total, sum));
        return total;
    }

    private static double Seconds(Action action)
    {
        long start = Stopwatch.GetTimestamp();
        action();
        return Stopwatch.GetElapsedTime(start).TotalSeconds;
    }

    private static string Shorten(string text, int length) => text.Length <= length ? text : "…" + text[^(length - 1)..];

    private static void Print(FormattableString line) => System.Console.WriteLine(line.ToString(CultureInfo.InvariantCulture));
}
