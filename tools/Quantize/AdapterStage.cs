using System.CommandLine;
using PureQLora.Core;
using PureQLora.Models;
using PureQLora.Training;

namespace PureQLora.Tools.Quantize;

/// <summary>Writes adapters that make up for what quantising lost, beside the quantised model, as a PEFT folder.</summary>
internal static class AdapterStage
{
    private const string FolderName = "adapter";

    public static readonly Option<string> Init = new("--init")
    {
        Description = "Adapters to write to OUTPUT/adapter, for training to start from: zero (none), loftq, or error (in the norm of the calibration text).",
        DefaultValueFactory = _ => AdapterStart.Zero.Name(),
    };

    public static readonly Option<int> LoftqIterations = new("--loftq-iterations") { Description = "Times that loftq quantises and approximates in turn; 1 leaves the codes as they are.", DefaultValueFactory = _ => 1 };
    public static readonly Option<int> Rank = new("--rank") { Description = "Rank of these adapters.", DefaultValueFactory = _ => 8 };
    public static readonly Option<double> Alpha = new("--alpha") { Description = "Alpha of these adapters.", DefaultValueFactory = _ => 16 };

    /// <summary>What was asked for, checked before the work.</summary>
    public static AdapterStartOptions Parse(ParseResult result, int distillSteps)
    {
        AdapterStartOptions options = new() { Start = AdapterStartNames.Parse(result.GetValue(Init)!), LoftqIterations = result.GetValue(LoftqIterations) };
        options.Validate();
        _ = Config(result);
        return distillSteps > 0 && options.Requantizes
            ? throw new UserErrorException($"--loftq-iterations is {options.LoftqIterations}, which quantises again and would undo --distill; use 1, or leave out --distill.")
            : options;
    }

    /// <summary>Starts adapters on every quantised layer and writes them.</summary>
    public static IReadOnlyList<AdapterStartResult> Run(
        ParseResult result, ModelFolder folder, CpuBackend backend, AdapterStartOptions options, IReadOnlyList<int[]> calibration, string output)
    {
        if (options.Start == AdapterStart.Zero)
        {
            return [];
        }

        LinearLayer[] quantized = [.. folder.Model.Linears.Where(layer => layer.Weight.Quantized is not null)];
        LoraConfig config = Config(result) with { BaseModel = result.GetValue<string>("--output") };
        config = quantized.Length == folder.Model.Linears.Count()
            ? config with { TargetPattern = LoraConfig.AllLinear }
            : config with { TargetModules = [.. quantized.Select(layer => layer.ShortName).Distinct()] };
        using ModelFolder full = ModelFolder.Open(folder.Path);
        int done = 0;
        IReadOnlyList<AdapterStartResult> results = ConsoleProgress.Run("starting adapters", quantized.Length, progress => AdapterInitialization.Inject(
            folder.Model,
            full.Model,
            backend,
            config,
            options,
            calibration,
            new SynchronousProgress<AdapterStartResult>(_ => progress.Update(++done)),
            ToolProgram.Cancellation));
        PeftCheckpoint.Write(Path.Combine(output, FolderName), LoraInjection.Extract(folder.Model, config));
        return results;
    }

    private static LoraConfig Config(ParseResult result) => new LoraRecipe { Rank = result.GetValue(Rank), Alpha = result.GetValue(Alpha) }.ToConfig();
}
