"""stub"""
def write_report(run, folder, summary):
    folder.write("report.html", "<p>stub</p>")
