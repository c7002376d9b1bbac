using System.CommandLine;
using System.Globalization;
using PureQLora.Core;
using PureQLora.Training;

namespace PureQLora.Tools.Train;

/// <summary><c>train</c>: quantises a base, trains LoRA adapters on it, and measures before and after.</summary>
internal static class TrainCommand
{
    private static readonly Argument<string?> RecipePath = new("recipe")
    {
        Description = "Recipe, JSON. Without one, and without --model and --data, the embedded model learns word problems.",
        Arity = ArgumentArity.ZeroOrOne,
    };

    private static readonly Option<string?> Model = new Option<string?>("--model") { Description = "Folder with config.json, weights and tokenizer; the recipe's model.path." }.NotEmpty();
    private static readonly Option<string?> Data = new Option<string?>("--data") { Description = "Training file, JSONL, JSON or text; the recipe's data.train." }.NotEmpty();
    private static readonly Option<string?> EvaluationData = new Option<string?>("--eval-data") { Description = "GSM8K-style problems that are not trained on; the recipe's evaluation.file." }.NotEmpty();
    private static readonly Option<string?> Output = new Option<string?>("--output") { Description = "Folder of the run, empty or absent; runs/NAME-DATE-TIME if left out." }.NotEmpty();
    private static readonly Option<string?> Resume = new Option<string?>("--resume") { Description = "Folder of a run to go on with." }.NotEmpty();
    private static readonly Option<string?> Pretrain = new Option<string?>("--pretrain")
    {
        Description = "Folder, empty or absent, for a model trained from random weights on generated problems, as the embedded one was; takes no other option but --threads and --device.",
    }.NotEmpty();

    private static readonly Option<string[]> Set = new("--set") { Description = "A setting of the recipe, such as lora.rank=16; may be repeated.", DefaultValueFactory = _ => [] };
    private static readonly Option<int> Threads = CommonOptions.Threads();
    private static readonly Option<string> Device = CommonOptions.Device();
    private static readonly Option<Precision?> PrecisionOption = CommonOptions.PrecisionOption();

    /// <summary>The command line.</summary>
    public static RootCommand Create()
    {
        RootCommand command = new("Quantises a LLaMA-family model with GPTQ, trains LoRA adapters on it and measures what that gave.")
        {
            RecipePath, Model, Data, EvaluationData, Output, Resume, Pretrain, Set, Threads, Device, PrecisionOption,
        };
        command.SetAction(Run);
        return command;
    }

    private static int Run(ParseResult result)
    {
        if (result.GetValue(Pretrain) is { } made)
        {
            return PretrainModel(made, result);
        }

        // Before the folder is made, which an unknown device must not leave behind.
        using DeviceChoice device = DeviceChoice.Open(result.GetValue(Device)!, result.GetValue(Threads));
        (RunFolder folder, Recipe recipe) = OpenFolder(result);
        ConsoleObserver observer = new();
        observer.Report("run", folder.Path);
        observer.Report("device", device.Description);
        try
        {
            TrainingRun run = new(
                recipe, folder, device.Backend, Path.Combine(AppContext.BaseDirectory, "embedded"), observer, result.GetValue(Threads));
            ConsoleObserver.Show(run.Run(ToolProgram.Cancellation));
            return ToolProgram.Success;
        }
        catch (RunInterruptedException exception)
        {
            System.Console.Error.WriteLine($"{exception.Message} Go on with: dotnet run --project tools/Train -- --resume {Quote(exception.Folder)}");
            return ToolProgram.Failure;
        }
    }

    private static int PretrainModel(string folder, ParseResult result)
    {
        using DeviceChoice device = DeviceChoice.Open(result.GetValue(Device)!, result.GetValue(Threads));
        using OutputFolder output = OutputFolder.Create(folder);
        ConsoleObserver observer = new();
        observer.Report("device", device.Description);
        observer.Report("precision", device.Backend.PreferredPrecision.Name());
        PretrainingOptions options = new();
        StepMetrics last = Pretraining.Run(output.Temporary, options, device.Backend, observer, result.GetValue(Threads), ToolProgram.Cancellation);
        output.Commit();
        System.Console.WriteLine($"{folder}: loss {last.Loss:F3} after {last.Step} steps");
        return last.Step == options.Steps ? ToolProgram.Success : ToolProgram.Failure;
    }

    private static (RunFolder Folder, Recipe Recipe) OpenFolder(ParseResult result)
    {
        string[] overrides = [.. Overrides(result)];
        (string? recipePath, string? resumed, string? output) = (result.GetValue(RecipePath), result.GetValue(Resume), result.GetValue(Output));
        if (resumed is not null)
        {
            if (recipePath is not null || output is not null)
            {
                throw new UserErrorException("--resume goes on with the recipe and in the folder of the run; leave out the recipe and --output.");
            }

            RunFolder existing = RunFolder.Resume(resumed, overrides, out Recipe stored);
            return (existing, stored);
        }

        bool isDefault = recipePath is null && result.GetValue(Model) is null && result.GetValue(Data) is null;
        Recipe recipe = RecipeReader.Read(isDefault ? Path.Combine(AppContext.BaseDirectory, "recipes", "default.json") : recipePath, overrides);
        recipe.Validate();
        string time = DateTime.Now.ToString("yyyyMMdd-HHmmss", CultureInfo.InvariantCulture);
        return (RunFolder.Create(output ?? Path.Combine("runs", $"{recipe.Name}-{time}"), recipe), recipe);
    }

    private static IEnumerable<string> Overrides(ParseResult result)
    {
        foreach (string text in result.GetValue(Set)!)
        {
            yield return text;
        }

        foreach ((Option<string?> option, string key) in new[] { (Model, "model.path"), (Data, "data.train"), (EvaluationData, "evaluation.file") })
        {
            if (result.GetValue(option) is { } value)
            {
                yield return $"{key}={value}";
            }
        }

        if (result.GetResult(PrecisionOption) is { Implicit: false })
        {
            yield return $"training.precision={result.GetValue(PrecisionOption)?.Name() ?? "auto"}";
        }
    }

    private static string Quote(string path) => path.Contains(' ', StringComparison.Ordinal) ? $"\"{path}\"" : path;
}
