using System.CommandLine;
using PureQLora.Core;
using PureQLora.Models;
using PureQLora.Training;
using Spectre.Console;

namespace PureQLora.Tools.Evaluate;

/// <summary><c>evaluate gsm8k</c>: exact match of a base, an adapter, or every checkpoint of a run.</summary>
internal static class Gsm8kCommand
{
    private const string BaseName = "base";
    private const string ReportFile = "report.html";

    private static readonly Option<string> Model = CommonOptions.Model();
    private static readonly Option<string?> Adapter = CommonOptions.Adapter();
    private static readonly Option<string?> Adapters = new Option<string?>("--adapters") { Description = "Run folder, or folder of step-N checkpoints: each one is evaluated." }.NotEmpty();
    private static readonly Option<string> Data = new Option<string>("--data") { Description = "GSM8K JSONL with question and answer.", Required = true }.NotEmpty();
    private static readonly Option<string?> ShotData = new("--shot-data") { Description = "Training split that shots of the task gsm8k are drawn from; train.jsonl beside --data if left out." };
    private static readonly Option<int?> Limit = new("--limit") { Description = "First problems of the file; all if left out." };
    private static readonly Option<int> Shots = new("--shots") { Description = "Solved problems before each question.", DefaultValueFactory = _ => 0 };
    private static readonly Option<string> Task = new("--task") { Description = "gsm8k, gsm8k_cot, gsm8k_cot_zeroshot or gsm8k_cot_llama.", DefaultValueFactory = _ => EvaluationTask.Gsm8k.Name };
    private static readonly Option<int> BatchSize = new("--batch-size") { Description = "Sequences generated together.", DefaultValueFactory = _ => 32 };
    private static readonly Option<int> MaxNewTokens = new("--max-new-tokens") { Description = "Tokens of an answer at most.", DefaultValueFactory = _ => 256 };
    private static readonly Option<string> Rule = new("--rule") { Description = "strict, flexible, openai or metamath.", DefaultValueFactory = _ => "strict" };
    private static readonly Option<string?> Output = new Option<string?>("--output") { Description = "Folder for JSON results with every sample, and the chart of --adapters; it must be empty or absent." }.NotEmpty();
    private static readonly Option<bool> Quiet = new("--quiet") { Description = "Do not print each prediction." };
    private static readonly Option<int> Threads = CommonOptions.Threads();
    private static readonly Option<string> Device = CommonOptions.Device();
    private static readonly Option<Precision?> PrecisionOption = CommonOptions.PrecisionOption();

    public static Command Create()
    {
        Command command = new("gsm8k", "Measures exact match on GSM8K or any file like it; with an adapter, the base is measured beside it.")
        {
            Model, Adapter, Adapters, Data, ShotData, Limit, Shots, Task, BatchSize, MaxNewTokens, Rule, Output, Quiet, Threads, Device, PrecisionOption,
        };
        command.SetAction(Run);
        return command;
    }

    private static int Run(ParseResult result)
    {
        (string? adapter, string? adapters) = (result.GetValue(Adapter), result.GetValue(Adapters));
        if (adapter is not null && adapters is not null)
        {
            throw new UserErrorException("Give either --adapter or --adapters.");
        }

        string? output = result.GetValue(Output);
        if (output is not null)
        {
            CommonOptions.RequireEmpty(output);
        }

        EvaluationOptions options = Options(result);      // refused before anything is opened
        IReadOnlyList<GsmProblem> problems = Problems(result);
        Target[] targets = [.. Targets(adapter, adapters)];
        using DeviceChoice device = DeviceChoice.Open(result.GetValue(Device)!, result.GetValue(Threads));
        options = options with { Precision = CommonOptions.ShowDevice(device, result.GetValue(PrecisionOption)) };
        using ModelFolder folder = ModelFolder.Open(result.GetValue(Model)!);
        BaseShape shape = BaseShape.Of(folder.Model);
        foreach (Target target in targets)
        {
            // Read now, so that a wrong adapter does not wait for the base to be measured.
            shape = shape.With(PeftCheckpoint.Read(target.Folder, LlamaTensorNames.LinearLayers(folder.Model.Config)).Config);
        }

        RequireMemory(device, folder, shape, problems, options);
        IBackend backend = device.Backend;
        List<EvaluationResult> results = [Measure(BaseName, folder, backend, problems, options, result)];
        foreach (Target target in targets)
        {
            LoraInjection.Load(folder.Model, target.Folder);
            results.Add(Measure(target.Name, folder, backend, problems, options, result));
            LoraInjection.Remove(folder.Model);
        }

        Summarize(results);
        if (adapters is not null && output is not null)
        {
            HtmlReport.Write(Path.Combine(output, ReportFile), Report(adapters, targets, results));
        }

        return ToolProgram.Success;
    }

    private static void RequireMemory(DeviceChoice device, ModelFolder folder, BaseShape shape, IReadOnlyList<GsmProblem> problems, EvaluationOptions options)
    {
        if (device.Device is null)
        {
            return;
        }

        int prompt = new Gsm8kEvaluator(folder.Model, folder.Tokenizer, device.Backend).LongestPrompt(problems, options);
        int length = Math.Min(prompt + options.MaxNewTokens, folder.Model.Config.MaxPositions + 1);
        Func<MemoryPlanner, MemoryPlan> Together(int sequences) => planner =>
            planner.Generation(shape, options.Precision, Math.Min(sequences, problems.Count), length) with { Work = "evaluation" };
        device.Require(
            Together(options.BatchSize),
            [.. PlanRefusal.Halves(options.BatchSize, 1).Select(batch => ($"--batch-size={batch}", Together(batch)))]);
    }

    private static IReadOnlyList<GsmProblem> Problems(ParseResult result)
    {
        IReadOnlyList<GsmProblem> problems = GsmProblem.Load(result.GetValue(Data)!);
        return result.GetValue(Limit) switch
        {
            null => problems,
            >= 1 and int limit => [.. problems.Take(limit)],
            int limit => throw new UserErrorException($"--limit is {limit}, allowed 1 or more."),
        };
    }

    private static EvaluationOptions Options(ParseResult result)
    {
        EvaluationTask task = EvaluationTask.Parse(result.GetValue(Task)!);
        int shots = result.GetValue(Shots);
        string? shotData = result.GetValue(ShotData) ?? TrainingSplitBeside(result.GetValue(Data)!);
        if (shots > 0 && !task.HasFixedShots && shotData is null)
        {
            throw new UserErrorException($"--shots {shots} of task {task.Name} are drawn from the training split; name its file with --shot-data.");
        }

        EvaluationOptions options = new()
        {
            Task = task,
            Shots = shots,
            ShotProblems = shots > 0 && shotData is not null ? GsmProblem.Load(shotData) : [],
            Rule = AnswerScorer.ParseRule(result.GetValue(Rule)!),
            BatchSize = result.GetValue(BatchSize),
            MaxNewTokens = result.GetValue(MaxNewTokens),
        };
        options.Validate();
        return options;
    }

    /// <summary>GSM8K's two files lie side by side: the training split is <c>train.jsonl</c> in the folder of the data.</summary>
    private static string? TrainingSplitBeside(string data)
    {
        string path = Path.Combine(Path.GetDirectoryName(Path.GetFullPath(data))!, "train.jsonl");
        return File.Exists(path) && path != Path.GetFullPath(data) ? path : null;
    }

    private static IEnumerable<Target> Targets(string? adapter, string? adapters)
    {
        if (adapter is not null)
        {
            string name = Path.GetFileName(Path.TrimEndingDirectorySeparator(Path.GetFullPath(adapter)));
            return [new Target(name is "" or BaseName ? "adapter" : name, 0, adapter)];
        }

        if (adapters is null)
        {
            return [];
        }

        string nested = Path.Combine(adapters, "checkpoints");
        IReadOnlyList<(int Step, string Folder)> found = CheckpointStore.Find(Directory.Exists(nested) ? nested : adapters);
        return found.Count > 0
            ? found.Select(checkpoint => new Target($"step-{checkpoint.Step}", checkpoint.Step, checkpoint.Folder))
            : throw new UserErrorException($"{adapters} holds no checkpoints (step-N folders); name a run's folder.");
    }

    private static RunReport Report(string adapters, Target[] targets, List<EvaluationResult> results)
    {
        // The base is where the training starts.
        IEnumerable<(double, double)> points = results.Select((result, i) => ((double)(i == 0 ? 0 : targets[i - 1].Step), 100 * result.ExactMatch));
        EvaluationResult first = results[0];
        return new RunReport
        {
            Title = $"Exact match of {Path.GetFileName(Path.TrimEndingDirectorySeparator(Path.GetFullPath(adapters)))}",
            Facts =
            [
                new("problems", $"{first.Count}"), new("task", first.Task), new("shots", $"{first.Shots}"),
                new("rule", first.Rule.ToString().ToLowerInvariant()), new("device", first.Device!), new("precision", first.Precision.Name()),
            ],
            Scores = [.. results.Select(result => new ReportScore(result.Name, result.Task, result.Accuracy))],
            Curves = [new ReportCurve("Exact match, percent", [.. points])],
        };
    }

    private static EvaluationResult Measure(
        string name, ModelFolder folder, IBackend backend, IReadOnlyList<GsmProblem> problems, EvaluationOptions options, ParseResult result)
    {
        bool quiet = result.GetValue(Quiet);
        int printed = 0;
        folder.Model.MoveTo(backend);
        EvaluationResult measured = ConsoleProgress.Run(name, problems.Count, progress => new Gsm8kEvaluator(folder.Model, folder.Tokenizer, backend).Evaluate(
            name,
            problems,
            options with { StopIds = folder.EosIds },
            new SynchronousProgress<IReadOnlyList<EvaluationSample>>(samples =>
            {
                for (; printed < samples.Count; printed++)
                {
                    if (!quiet)
                    {
                        progress.Line(Describe(samples[printed]));
                    }
                }

                progress.Update(samples.Count, $"exact match {Accuracy.Of(samples.Count(sample => sample.Correct), samples.Count)}");
            }),
            ToolProgram.Cancellation));
        if (result.GetValue(Output) is { } output)
        {
            measured.Save(Path.Combine(output, $"{name}.json"));
        }

        return measured;
    }

    private static string Describe(EvaluationSample sample)
    {
        string reference = sample.Reference[(sample.Reference.LastIndexOf("####", StringComparison.Ordinal) + 4)..].Trim();
        return $"{(sample.Correct ? "right" : "wrong")}  expected {reference}, got {Shorten(sample.Extracted ?? "nothing")}: {Shorten(sample.Question)}";
    }

    private static string Shorten(string text)
    {
        string line = text.ReplaceLineEndings(" ");
        return line.Length <= 90 ? line : line[..89] + "…";
    }

    private static void Summarize(List<EvaluationResult> results)
    {
        Table table = new Table().Border(TableBorder.Simple).AddColumns("", "exact match", "right", "problems");
        foreach (EvaluationResult result in results)
        {
            table.AddRow(Markup.Escape(result.Name), result.Accuracy.ToString(), $"{result.Correct}", $"{result.Count}");
        }

        AnsiConsole.Write(table);
        if (results.Count > 2)
        {
            BarChart chart = new BarChart().Width(60).Label("exact match, percent").WithMaxValue(100);
            foreach (EvaluationResult result in results)
            {
                chart.AddItem(Markup.Escape(result.Name), Math.Round(100 * result.ExactMatch, 1), Color.Blue);
            }

            AnsiConsole.Write(chart);
        }
    }

    private sealed record Target(string Name, int Step, string Folder);
}
