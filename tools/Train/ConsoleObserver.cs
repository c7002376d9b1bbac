using System.Globalization;
using PureQLora.Models;
using PureQLora.Training;
using Spectre.Console;

namespace PureQLora.Tools.Train;

/// <summary>Shows a run on the console: plain lines, bars for what takes long, tables at the end.</summary>
internal sealed class ConsoleObserver : IRunObserver
{
    /// <inheritdoc/>
    public void Report(string name, string value) => System.Console.WriteLine($"{name,-13} {value}");

    /// <inheritdoc/>
    public void ReportSample(string rendered)
    {
        System.Console.WriteLine("a sample; what stands in ⟦ ⟧ is read and not learnt:");
        System.Console.WriteLine(rendered);
        System.Console.WriteLine();
    }

    /// <inheritdoc/>
    public void ReportQuantization(IReadOnlyList<LayerQuantization> layers)
    {
        CultureInfo invariant = CultureInfo.InvariantCulture;
        Table table = new Table().Border(TableBorder.Simple)
            .AddColumns("layer", "error", "nearest", "ratio", "before", "after");
        foreach (LayerQuantization layer in layers)
        {
            table.AddRow(
                Markup.Escape(layer.Layer),
                layer.Loss.ToString("G4", invariant),
                layer.RoundToNearestLoss.ToString("G4", invariant),
                (layer.Loss / layer.RoundToNearestLoss).ToString("F2", invariant),
                ConsoleTable.Bytes(layer.BytesBefore),
                ConsoleTable.Bytes(layer.BytesAfter));
        }

        AnsiConsole.Write(table);
        foreach (string warning in layers.Select(layer => layer.Warning).OfType<string>())
        {
            System.Console.WriteLine(warning);
        }

        Report("quantised", $"{layers.Count} layers, {ConsoleTable.Bytes(layers.Sum(layer => layer.BytesBefore))} → {ConsoleTable.Bytes(layers.Sum(layer => layer.BytesAfter))}");
    }

    /// <inheritdoc/>
    public void ReportEvaluation(EvaluationResult result) => Report("exact match", $"{result.Accuracy}  {result.Name}");

    /// <inheritdoc/>
    public T Track<T>(string title, double total, Func<RunProgress, T> work) => ConsoleProgress.Run(title, total, progress => work(progress.Update));

    /// <summary>The table at the end: memory and exact match of every state, and what fine-tuning changed.</summary>
    public static void Show(RunSummary summary)
    {
        Table table = new Table().Border(TableBorder.Simple).AddColumns(["", "weights", .. summary.ProblemSets.Select(set => Markup.Escape(set))]);
        foreach (RunStage stage in summary.Stages)
        {
            table.AddRow([Markup.Escape(stage.Name), ConsoleTable.Bytes(stage.WeightBytes), .. stage.Results.Select(result => result.Accuracy.ToString())]);
        }

        AnsiConsole.Write(table);
        foreach (string change in summary.Changes())
        {
            System.Console.WriteLine(change);
        }

        System.Console.WriteLine($"adapter  {summary.Adapter}");
        System.Console.WriteLine($"report   {Path.Combine(summary.Folder, "report.html")}");
    }
}
