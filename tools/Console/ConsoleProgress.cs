using System.Diagnostics;
using Spectre.Console;

namespace PureQLora.Tools;

/// <summary>A progress bar on a terminal, plain lines elsewhere.</summary>
public sealed class ConsoleProgress
{
    private static readonly TimeSpan PlainInterval = TimeSpan.FromSeconds(5);

    private readonly ProgressTask? _task;
    private readonly string _title;
    private readonly double _total;
    private readonly Stopwatch _watch = Stopwatch.StartNew();
    private TimeSpan _printed;
    private (double Done, TimeSpan Elapsed)? _first;

    private ConsoleProgress(string title, double total, ProgressTask? task) => (_title, _total, _task) = (title, total, task);

    /// <summary>Runs work that reports how far it is.</summary>
    /// <param name="title">What is done.</param>
    /// <param name="total">Value at which it is finished.</param>
    /// <param name="work">The work.</param>
    public static T Run<T>(string title, double total, Func<ConsoleProgress, T> work)
    {
        ArgumentNullException.ThrowIfNull(work);
        if (!AnsiConsole.Profile.Out.IsTerminal)
        {
            return work(new ConsoleProgress(title, total, null));
        }

        return AnsiConsole.Progress()
            .Columns(new TaskDescriptionColumn { Alignment = Justify.Left }, new ProgressBarColumn(), new PercentageColumn(), new RemainingTimeColumn())
            .Start(context => work(new ConsoleProgress(title, total, context.AddTask(Markup.Escape(title), maxValue: Math.Max(total, 1e-9)))));
    }

    /// <summary>Writes a line that stays.</summary>
    public void Line(string text)
    {
        if (_task is not null)
        {
            AnsiConsole.WriteLine(text);
        }
        else
        {
            System.Console.WriteLine(text);
        }
    }

    /// <summary>Shows how far the work is.</summary>
    /// <param name="done">0 to the total.</param>
    /// <param name="detail">Shown behind the title, such as the loss.</param>
    public void Update(double done, string detail = "")
    {
        if (_task is not null)
        {
            _task.Value = done;
            _task.Description = Markup.Escape(detail.Length == 0 ? _title : $"{_title}  {detail}");
            return;
        }

        // What was done before, as in a resumed run, tells nothing about the speed.
        TimeSpan elapsed = _watch.Elapsed;
        _first ??= (done, elapsed);
        if (done < _total && elapsed - _printed < PlainInterval)
        {
            return;
        }

        _printed = elapsed;
        (double firstDone, TimeSpan firstElapsed) = _first.Value;
        string timing = done >= _total ? $"{elapsed.TotalSeconds:F0} s"
            : done > firstDone ? $"{((elapsed - firstElapsed) * ((_total - done) / (done - firstDone))).TotalSeconds:F0} s left" : "";
        System.Console.WriteLine($"{_title} {done:0}/{_total:0}{(detail.Length == 0 ? "" : "  " + detail)}  {timing}");
    }
}
